"""The trial of one configuration, in a process of its own, so that it is not charged with the memory of another.

`python -m asr.planning.measure RECIPE CONFIG SCRATCH` prints the prediction as JSON.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import numpy.typing as npt
import torch

from asr.batching.dataset import Dataset
from asr.batching.loader import Share
from asr.batching.steps import Step, Steps
from asr.common.errors import UserError
from asr.model.acoustic import count_parameters
from asr.model.cost import multiply_adds_per_second
from asr.planning.prediction import Prediction
from asr.planning.rehearsal import rehearse
from asr.scoring.provenance import hardware as hardware_name
from asr.settings.compose import load_config
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.building import AcousticTrainer, build_trainer, read_splits
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware, device_memory, resolve_hardware
from asr.training.run_folder import RunFolder

GOLDEN = 0.6180339887

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlannedEpoch:
    """The steps of an epoch and what they cost, in the order of the plan."""

    steps: list[Step]
    padded: Seconds
    """Padded audio of each step (s), shape (steps,)."""
    longest: Seconds
    """Longest utterance of each step (s), weighted by padded audio where a step has several shares, (steps,)."""
    widest: Seconds
    """Padded audio of each step's largest share (s), shape (steps,)."""

    def spread(self, count: int) -> list[Step]:
        """Steps evenly spread from the shortest utterances to the longest, mixed so that the first few are so too."""
        order = np.argsort(self.longest, kind="stable")
        count = min(count, len(order))
        chosen = order[((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)]
        # Multiples of the golden ratio fall evenly between those before them.
        mixed = np.argsort(np.argsort((0.5 + np.arange(count) * GOLDEN) % 1))
        return [self.steps[number] for number in chosen[mixed]]

    def cost(self, step: Step) -> tuple[float, float]:
        """Padded audio and longest utterance of a step of this epoch (s)."""
        return float(self.padded[step.position]), float(self.longest[step.position])

    def seconds(self, measured: Sequence[tuple[Step, float]], measured_in: "PlannedEpoch") -> float:
        """Time of all steps, from the time that some took for each second of padded audio.

        Long utterances are dearer than as many seconds of short ones, since a recurrent layer goes frame by frame; in
        between, the price is interpolated.

        Args:
            measured: Steps with the time that each took (s).
            measured_in: The epoch that they are of.
        """
        prices = sorted(
            (longest, seconds / padded) for step, seconds in measured for padded, longest in [measured_in.cost(step)]
        )
        places, price = zip(*prices, strict=True)
        return float((self.padded * np.interp(self.longest, places, price)).sum())


def planned_epoch(steps: Steps, epoch: int) -> PlannedEpoch:
    """The steps of an epoch."""
    durations = steps.inputs.seconds(epoch)
    planned = list(steps.start(epoch, 0, epoch + 1))
    rows = []
    for step in planned:
        shares = [durations[share.utterances] for share in step.shares if len(share.utterances)]
        padded = np.array([len(share) * share.max() for share in shares])
        longest = np.array([share.max() for share in shares])
        rows.append((padded.sum(), (longest * padded).sum() / padded.sum(), padded.max()))
    columns = np.array(rows, dtype=np.float64).T
    return PlannedEpoch(planned, columns[0], columns[1], columns[2])


EPOCHS_PLANNED = 3
"""The plans of so many epochs are looked at: they differ a little where speeds are drawn."""
SECONDS = 15.0
"""Time for the steps that are measured, about."""
MOST_STEPS = 32
DEV_SHARES = 2
"""Dev is decoded as far as it fills so many of its largest batches."""


def main(arguments: Sequence[str]) -> None:
    """Measures and prints.

    Raises:
        SystemExit: 2 for a mistake of the user, which stands on stderr.
    """
    recipe, settings, scratch = map(Path, arguments)
    try:
        print(json.dumps(asdict(measure(Recipe(recipe), load_config(settings), scratch))))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def measure(recipe: Recipe, config: Config, scratch: Path) -> Prediction:
    """Builds the trainer of a configuration, lets it take some steps, and predicts from them.

    Args:
        scratch: A folder in the place of the run's.

    Raises:
        UserError: What a training would raise.
    """
    hardware = resolve_hardware(config.hardware)
    trainer = _trainer(recipe, config, hardware, scratch)
    epochs = [planned_epoch(trainer.steps, epoch) for epoch in range(min(config.training.epochs, EPOCHS_PLANNED))]
    first = epochs[0]
    median = _within(first.spread(1)[0])
    largest_in = max(epochs, key=lambda epoch: float(epoch.widest.max()))
    largest = _within(largest_in.steps[int(largest_in.widest.argmax())])

    small = _small(first)
    last = replace(median, position=median.epoch_steps - 1)
    dev_share = _shorten_dev(trainer)
    needed = [small, median, largest, median, last, last, median]
    further = [_within(step) for step in first.spread(MOST_STEPS)]
    trials = rehearse(trainer, needed, further, SECONDS)
    ended = [trial.ended for trial in trials]
    measured = [(trials[n].step, ended[n] - ended[n - 1]) for n in range(len(needed), len(trials))]
    # The first end of an epoch warms up; the time of the second is in that of the step behind it.
    validation = max(0.0, (ended[6] - ended[5]) - (ended[4] - ended[3]))
    small_seconds = _share_seconds(trainer, small)
    batch_seconds = float(largest_in.widest.max())
    slope = max(trials[2].peak_bytes - trials[0].peak_bytes, 1) / max(batch_seconds - small_seconds, 1e-3)
    model = config.model
    costs = multiply_adds_per_second(
        model, trainer.task.front.extractor.dim, trainer.task.tokenizer.size, config.features.hop_ms
    )
    return Prediction(
        name=config.name,
        parameters=count_parameters(trainer.model),
        multiply_adds_per_second=sum(costs.values()),
        epochs=config.training.epochs,
        steps=mean(len(epoch.steps) for epoch in epochs),
        audio_seconds=mean(sum(step.seconds for step in epoch.steps) for epoch in epochs),
        padding=1 - sum(sum(s.seconds for s in e.steps) for e in epochs) / sum(float(e.padded.sum()) for e in epochs),
        training_seconds=mean(epoch.seconds(measured, first) for epoch in epochs),
        validation_seconds=validation / dev_share,
        output_frames_per_second=1000 / config.features.hop_ms / model.subsampling,
        peak_bytes=trials[-1].peak_bytes,
        batch_seconds=batch_seconds,
        base_bytes=trials[0].peak_bytes - slope * small_seconds,
        bytes_per_second=slope,
        device_bytes=device_memory(hardware.device),
        hardware=hardware_name(),
        precision=hardware.precision.name,
        threads=torch.get_num_threads(),
    )


def _trainer(recipe: Recipe, config: Config, hardware: Hardware, scratch: Path) -> AcousticTrainer:
    """The trainer of a configuration that reports every step and neither ends nor saves between epochs."""
    train, dev = read_splits(recipe, config)
    training = replace(
        config.training,
        epochs=sys.maxsize,
        early_stopping_epochs=None,
        max_skipped_steps=sys.maxsize,
        checkpoint_minutes=float("inf"),
        log_every_steps=1,
        restart=False,
    )
    config = replace(config, training=training)
    return build_trainer(recipe, config, train, dev, hardware, Ranks(0, 1), RunFolder(scratch, ""))


def _within(step: Step) -> Step:
    """A step that does not end its epoch, so that nothing but itself takes time."""
    return replace(step, epoch_steps=step.epoch_steps + 1)


def _small(epoch: PlannedEpoch) -> Step:
    """A step with a quarter of the utterances of the smallest share."""
    step = _within(epoch.steps[int(epoch.widest.argmin())])
    numbers = step.shares[0].utterances
    return replace(step, shares=[Share(step.epoch, numbers[: max(1, len(numbers) // 4)])])


def _share_seconds(trainer: AcousticTrainer, step: Step) -> float:
    """Padded audio of the first share of a step (s)."""
    durations = trainer.train.seconds(step.epoch)[step.shares[0].utterances]
    return float(len(durations) * durations.max())


def _shorten_dev(trainer: AcousticTrainer) -> float:
    """Leaves of dev what is decoded in little time but fills a batch; gives the share of its audio that is left."""
    seconds, inputs = trainer.task.dev.seconds(0), trainer.task.dev
    every = math.ceil(seconds.sum() / (DEV_SHARES * trainer.config.batching.max_device_seconds))
    kept = np.argsort(seconds)[::-1][::every]
    trainer.task.dev = Dataset(
        [inputs.utterances[number] for number in kept], inputs.store, None, inputs.seed, audio=inputs.audio
    )
    return float(seconds[kept].sum() / seconds.sum())


if __name__ == "__main__":
    main(sys.argv[1:])
