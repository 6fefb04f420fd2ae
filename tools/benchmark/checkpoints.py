"""What writing checkpoints costs a training: the same steps with and without, in alternating rounds.

    python tools/benchmark/checkpoints.py recipes/an4 [key=value ...]

The recipe must be prepared, and the machine at rest. A checkpoint is written each `training.checkpoint_minutes=0.05`,
two hundred times as often as by default. Medians are of all steps; means include what copying the state and the writing
thread take from the few steps after it.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from end_to_end import make_trainer

from asr.settings.compose import compose
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config

ROUNDS = 3
STEPS = 20
NEVER = 1e6
LEFT_OUT = 3
"""First steps of a round, in which memory is taken for the first time."""


def step_seconds(recipe: Recipe, config: Config) -> tuple[list[float], float, int]:
    """Times of the steps of one round (s), the time of the processor for them, and the checkpoints written within."""
    seconds, saved, processor = list[float](), 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, config, config.hardware.precision, Path(folder))
        steps = list(islice(trainer.steps.start(0, 0, 1), STEPS))
        batches = trainer.load(steps)
        trainer.start_clocks()
        with trainer.writer:
            for number, step in enumerate(steps):
                if number == LEFT_OUT:
                    processor = time.process_time()
                began = time.perf_counter()
                if trainer.train_step(step, batches).checkpoint_due:
                    trainer.save()
                    saved += number >= LEFT_OUT
                seconds.append(time.perf_counter() - began)
            return seconds[LEFT_OUT:], time.process_time() - processor, saved


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
