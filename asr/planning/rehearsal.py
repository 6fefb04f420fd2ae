"""Short trials of a trainer: some steps of its plan, timed by what it reports, with the memory that they took."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from asr.batching.loader import Share
from asr.batching.steps import Step, Steps
from asr.tracking.tracker import NullTracker
from asr.training.building import AcousticTrainer
from asr.training.hardware import peak_bytes

FEWEST_FURTHER = 4


@dataclass(frozen=True)
class Trial:
    """A step that was tried."""

    step: Step
    ended: float
    """When it had ended, on the clock of the training (s)."""
    peak_bytes: int
    """The most memory taken since the process began."""


def rehearse(trainer: AcousticTrainer, steps: Sequence[Step], further: Sequence[Step], seconds: float) -> list[Trial]:
    """Lets a trainer take steps one after the other, as in a training: with its loader, optimizer and reports.

    The trainer must log every step. A step that ends an epoch is followed by what follows an epoch, and the time of the
    next step holds that too.

    Args:
        trainer: Is of no use afterwards.
        steps: All of these are taken.
        further: Taken for about as long as said, a few at least.
        seconds: How long (s).
    """
    planned = trainer.steps
    chosen = _Chosen(
        planned.inputs, trainer.labels, planned.config, planned.seed, planned.rank, planned.ranks, planned.limit
    )
    chosen.steps = [*steps, *further]
    recorder = _Recorder(trainer.hardware.device, chosen, len(steps), seconds)
    trainer.steps = chosen
    trainer.fit(recorder)
    return [Trial(step, *row) for step, row in zip(chosen.steps, recorder.rows, strict=False)]


class _Chosen(Steps):
    """Given steps in place of those of the plan, until it is over."""

    steps: Sequence[Step] = ()
    over = False

    def start(self, epoch: int, position: int, epochs: int) -> Iterator[Step]:
        for step in self.steps:
            if self.over:
                return
            yield step

    def largest(self, epoch: int) -> dict[str, Share]:
        """Nothing is tried beforehand: it would hide how much memory each step takes."""
        return {}


class _Recorder(NullTracker):
    """Notes when each step ended, and ends the rehearsal in time."""

    def __init__(self, device: torch.device, steps: _Chosen, needed: int, seconds: float) -> None:
        self.device, self.steps, self.needed, self.seconds = device, steps, needed, seconds
        self.rows: list[tuple[float, int]] = []

    def log(self, step: int, epoch: float, seconds: float, metrics: Mapping[str, float]) -> None:
        if "train/loss" in metrics:
            self.rows.append((seconds, peak_bytes(self.device)))
        further = len(self.rows) - self.needed
        if further >= FEWEST_FURTHER and seconds - self.rows[self.needed - 1][0] > self.seconds:
            self.steps.over = True
