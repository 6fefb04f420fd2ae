"""Measures some steps of one configuration, in a process of its own, so that no other adds to its memory.

`python -m asr.planning.measure RECIPE CONFIG SCRATCH` prints the prediction as JSON.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import numpy.typing as npt
import torch

from asr.batching.dataset import Dataset
from asr.batching.loader import MicroBatch
from asr.batching.steps import Step, Steps
from asr.common.errors import UserError
from asr.model.acoustic import count_parameters, multiply_adds_per_second
from asr.planning.prediction import Prediction
from asr.scoring.provenance import hardware as hardware_name
from asr.settings.compose import load_config
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.acoustic_training import AcousticData, AcousticTrainer, build_trainer
from asr.training.distributed import Ranks
from asr.training.hardware import device_memory, peak_bytes, resolve_hardware
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
    """Longest utterance of each step (s), averaged over its micro-batches by their padded audio, (steps,)."""
    largest: Seconds
    """Padded audio of the largest micro-batch of each step (s), shape (steps,)."""

    def spread(self, count: int) -> list[Step]:
        """Steps evenly spread from the shortest utterances to the longest, in an order whose first few are so too."""
        order = np.argsort(self.longest, kind="stable")
        count = min(count, len(order))
        chosen = order[((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)]
        # Multiples of the golden ratio (modulo 1) fall evenly between those before them.
        mixed = np.argsort(np.argsort((0.5 + np.arange(count) * GOLDEN) % 1))
        return [self.steps[number] for number in chosen[mixed]]

    def seconds(self, measured: Sequence[tuple[Step, float]], measured_in: "PlannedEpoch") -> float:
        """Time of all steps, from the time that some took per second of padded audio.

        A second of long utterances takes more time than one of short utterances, since a recurrent layer goes frame by
        frame; in between, the time is interpolated.

        Args:
            measured: Steps with the time that each took (s).
            measured_in: Their epoch.
        """
        planned = ((measured_in.longest[step.position], seconds / measured_in.padded[step.position])
                   for step, seconds in measured)  # fmt: skip
        lengths, rate = zip(*sorted(planned), strict=True)
        return float((self.padded * np.interp(self.longest, lengths, rate)).sum())


def planned_epoch(steps: Steps, epoch: int) -> PlannedEpoch:
    """The steps of an epoch."""
    durations = steps.examples.seconds(epoch)
    planned = list(steps.start(epoch, 0, epoch + 1))
    rows = []
    for step in planned:
        parts = [durations[one.utterances] for one in step.micro_batches if len(one.utterances)]
        padded = np.array([len(part) * part.max() for part in parts])
        longest = np.array([part.max() for part in parts])
        rows.append((padded.sum(), (longest * padded).sum() / padded.sum(), padded.max()))
    columns = np.array(rows, dtype=np.float64).T
    return PlannedEpoch(planned, columns[0], columns[1], columns[2])


EPOCHS_PLANNED = 3
"""How many epochs are planned: they differ a little where speeds are drawn."""
SECONDS = 15.0
"""Approximate time for the steps that are measured."""
FEWEST_STEPS, MOST_STEPS = 4, 32
DEV_BATCHES = 2
"""How many of its largest batches are decoded of dev."""


def main(arguments: Sequence[str]) -> None:
    """Measures and prints; a mistake of the user goes to stderr, and ends the process with code 2."""
    recipe, settings, scratch = map(Path, arguments)
    try:
        print(json.dumps(asdict(measure(Recipe(recipe), load_config(settings), scratch))))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def measure(recipe: Recipe, config: Config, scratch: Path) -> Prediction:
    """Builds the trainer of a configuration, takes some steps with it, and predicts from them.

    Args:
        scratch: A folder in the place of the run's.

    Raises:
        UserError: What a training would raise.
    """
    hardware = resolve_hardware(config.hardware)
    config = replace(config, training=replace(config.training, max_skipped_steps=sys.maxsize))
    trainer = build_trainer(AcousticData.read(recipe, config), hardware, Ranks(0, 1), RunFolder(scratch, ""))
    dev_share = _shorten_dev(trainer)
    epochs = [planned_epoch(trainer.steps, epoch) for epoch in range(min(config.training.epochs, EPOCHS_PLANNED))]
    first = epochs[0]
    median = first.spread(1)[0]
    largest_in = max(epochs, key=lambda epoch: float(epoch.largest.max()))
    largest = largest_in.steps[int(largest_in.largest.argmax())]
    small = _small(first)
    peaks = list[int]()
    with trainer.writer:
        for step in (small, median, largest):
            _take(trainer, [step])
            peaks.append(peak_bytes(hardware.device))
        _end_epoch(trainer)  # warms up, as the first of the steps below does
        validation_seconds = _end_epoch(trainer)
        measured = _take(trainer, [median, *first.spread(MOST_STEPS)], SECONDS)[1:]
    small_seconds = _first_micro_batch_seconds(trainer, small)
    batch_seconds = float(largest_in.largest.max())
    slope = max(peaks[-1] - peaks[0], 1) / max(batch_seconds - small_seconds, 1e-3)
    dim, tokens, hop_ms = trainer.task.front.extractor.dim, trainer.task.tokenizer.size, config.features.hop_ms
    return Prediction(
        name=config.name,
        parameters=count_parameters(trainer.model),
        multiply_adds_per_second=sum(multiply_adds_per_second(config.model, dim, tokens, hop_ms).values()),
        epochs=config.training.epochs,
        steps=mean(len(epoch.steps) for epoch in epochs),
        audio_seconds=mean(sum(step.seconds for step in epoch.steps) for epoch in epochs),
        padding=1 - sum(sum(s.seconds for s in e.steps) for e in epochs) / sum(float(e.padded.sum()) for e in epochs),
        training_seconds=mean(epoch.seconds(measured, first) for epoch in epochs),
        validation_seconds=validation_seconds / dev_share,
        output_frames_per_second=1000 / hop_ms / config.model.subsampling,
        peak_bytes=peak_bytes(hardware.device),
        batch_seconds=batch_seconds,
        base_bytes=peaks[0] - slope * small_seconds,
        bytes_per_second=slope,
        device_bytes=device_memory(hardware.device),
        hardware=hardware_name(),
        precision=hardware.precision.name,
        threads=torch.get_num_threads(),
    )


def _take(trainer: AcousticTrainer, steps: Sequence[Step], limit: float = math.inf) -> list[tuple[Step, float]]:
    """Takes steps one after the other, as a training does; gives each with its time, loading included (s).

    Args:
        limit: Takes no further step after this time (s), except that it takes a few at least.
    """
    batches, taken = trainer.load(steps), list[tuple[Step, float]]()
    began = ended = time.monotonic()
    for step in steps:
        trainer.train_step(step, batches)
        before, ended = ended, time.monotonic()
        taken.append((step, ended - before))
        if ended - began > limit and len(taken) > FEWEST_STEPS:
            break
    return taken


def _end_epoch(trainer: AcousticTrainer) -> float:
    """Decodes dev and saves the model and a checkpoint, as after an epoch; gives the time (s)."""
    began = time.monotonic()
    trainer.keep_if_best(trainer.validate())
    trainer.save()
    return time.monotonic() - began


def _small(epoch: PlannedEpoch) -> Step:
    """A step with a quarter of the utterances of the smallest micro-batch."""
    step = epoch.steps[int(epoch.largest.argmin())]
    numbers = step.micro_batches[0].utterances
    return replace(step, micro_batches=[MicroBatch(step.epoch, numbers[: max(1, len(numbers) // 4)])])


def _first_micro_batch_seconds(trainer: AcousticTrainer, step: Step) -> float:
    """Padded audio of the first micro-batch of a step (s)."""
    durations = trainer.train.seconds(step.epoch)[step.micro_batches[0].utterances]
    return float(len(durations) * durations.max())


def _shorten_dev(trainer: AcousticTrainer) -> float:
    """Reduces dev to what fills a few batches; gives the share of its audio that is left."""
    seconds, inputs = trainer.task.dev.seconds(0), trainer.task.dev
    every = math.ceil(seconds.sum() / (DEV_BATCHES * trainer.config.batching.max_device_seconds))
    kept = np.argsort(seconds)[::-1][::every]
    utterances = [inputs.utterances[number] for number in kept]
    trainer.task.dev = Dataset(utterances, inputs.store, None, inputs.seed, audio=inputs.audio)
    return float(seconds[kept].sum() / seconds.sum())


if __name__ == "__main__":
    main(sys.argv[1:])
