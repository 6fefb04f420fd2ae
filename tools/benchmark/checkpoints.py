"""What writing checkpoints costs the steps of a training: the same steps with and without, in alternating rounds.

    python tools/benchmark/checkpoints.py recipes/an4 [key=value ...]

The recipe must be prepared, and the machine at rest. A checkpoint is written each `training.checkpoint_minutes=0.05`,
two hundred times as often as by default. Medians are of all steps; means hold what the copy of the state and the thread
that writes take from the few steps after it.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest import mock

from end_to_end import LastRow, make_trainer

from asr.settings.compose import compose
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config
from asr.training.trainer import Trainer

ROUNDS = 3
STEPS = 20
NEVER = 1e6
LEFT_OUT = 3
"""First steps of a round, in which memory is taken for the first time."""


def step_seconds(recipe: Recipe, config: Config) -> tuple[list[float], float, int]:
    """Times of the steps of one round (s), the time of the processor for them, and the checkpoints written within."""
    ended: list[float] = []
    processor: list[float] = []
    saved: list[int] = []
    save = Trainer._save

    def note() -> None:
        ended.append(time.perf_counter())
        processor.append(time.process_time())

    def counted(trainer: Trainer) -> None:
        saved.append(len(ended))
        save(trainer)

    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, config, config.hardware.precision, STEPS, Path(folder))
        with (
            mock.patch.object(trainer.watchdog, "step_ended", note),
            mock.patch.object(Trainer, "_save", counted),
            mock.patch.object(Trainer, "_validate", lambda self, *_: setattr(self.done, "finished", True)),
        ):
            trainer.fit(LastRow())
    steps = [after - before for before, after in pairwise(ended)]
    within = sum(LEFT_OUT < number < len(ended) for number in saved)
    return steps[LEFT_OUT:], processor[-1] - processor[LEFT_OUT], within


def main() -> None:
    recipe = find_recipe(sys.argv[1])
    config = compose(recipe, [*sys.argv[2:], "tracker=disabled"])
    variants = {
        "without": replace(config, training=replace(config.training, checkpoint_minutes=NEVER)),
        "with": replace(config, training=replace(config.training, checkpoint_minutes=0.05)),
    }
    seconds: dict[str, list[list[float]]] = {name: [] for name in variants}
    processor, written = dict.fromkeys(variants, 0.0), 0
    for number in range(ROUNDS):
        for name in list(variants)[:: 1 if number % 2 == 0 else -1]:
            steps, spent, saved = step_seconds(recipe, variants[name])
            seconds[name].append(steps)
            processor[name] += spent
            written += saved
    taken = {name: [step for steps in rounds for step in steps] for name, rounds in seconds.items()}
    for what, average in (("median", statistics.median), ("mean", statistics.mean)):
        without, own = average(taken["without"]), average(taken["with"])
        more = 100 * (own / without - 1)
        print(f"{what} step: {1000 * without:.0f} ms without, {1000 * own:.0f} ms with, {more:+.1f} %")
    ratios = [own / other for own, other in zip(taken["with"], taken["without"], strict=True)]
    print(f"median over the same steps of both: {100 * (statistics.median(ratios) - 1):+.1f} %")
    cost = (sum(taken["with"]) - sum(taken["without"])) / written
    work = (processor["with"] - processor["without"]) / written
    minutes = config.training.checkpoint_minutes
    print(
        f"{written} checkpoints in {len(taken['with'])} steps; each took {1000 * cost:.0f} ms of the steps' time and "
        f"{1000 * work:.0f} ms of a core"
    )
    print(f"with training.checkpoint_minutes={minutes:g} that is {100 * cost / (60 * minutes):.2f} % of the time")


if __name__ == "__main__":
    main()
