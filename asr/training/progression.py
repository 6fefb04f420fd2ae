"""How far a training is, and where its time goes."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from asr.training.steps import Step


@dataclass
class Progression:
    """How far a training is: all that a checkpoint holds beside tensors."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """The epoch of the next step."""
    position: int = 0
    """Number of the next step in its epoch."""
    seconds: float = 0.0
    """Time spent on training, over all restarts (s)."""
    skipped_steps: int = 0
    """Steps whose loss or gradient was not finite."""
    lost: list[str] = field(default_factory=list)
    """Ids of utterances whose audio could not be read any more."""
    best_wer: float = float("inf")
    """Best WER on the dev split."""
    best_epoch: int = 0
    """After how many epochs the kept model had it: of equals the last, since small dev splits have many."""
    improved_epoch: int = 0
    """After how many epochs it was first reached."""
    finished: bool = False

    def validated(self, wer: float, keep_last: bool = False) -> bool:
        """Takes in the WER on dev after an epoch; says whether the model shall be kept.

        Args:
            keep_last: Whether the last model counts as the best, whatever its WER.
        """
        if wer < self.best_wer:
            self.improved_epoch = self.epoch
        if wer > self.best_wer and not keep_last:
            return False
        self.best_wer, self.best_epoch = wer, self.epoch
        return True

    def note(self, loss: float, rate: float, speed: Mapping[str, float]) -> str:
        """What stands behind the progress bar."""
        wer = f", dev WER {100 * self.best_wer:.1f} %" if math.isfinite(self.best_wer) else ""
        hours = f", {speed['time/audio_hours_per_hour']:.0f} h of audio/h" if speed else ""
        return f"loss {loss:.3f}{wer}, rate {rate:.1e}{hours}"


PARTS = ("data_wait", "compute", "update", "ranks_wait")
"""Of a step: waiting for its batches; forward and backward pass with the exchange of gradients; clipping and the
optimizer; waiting for the other ranks. The rest is writing: metrics and checkpoints. A GPU is read once in a
step, after the exchange, so there waiting for the ranks is part of compute."""


@dataclass
class Clock:
    """Where the time since the last line of metrics went, and what it was spent on.

    It waits for no device: a part of a step ends where the step reads the device anyway.
    """

    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    """Time spent (s)."""
    audio: float = 0.0
    """Audio fed over all ranks, after speed perturbation (s)."""
    steps: int = 0
    started: float = field(default_factory=time.perf_counter)
    marked: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """Begins a step: what was since the last mark belongs to none of its parts."""
        self.marked = time.perf_counter()

    def mark(self, part: str) -> None:
        """Ends a part of a step, which began with the last mark."""
        now = time.perf_counter()
        self.parts[part] += now - self.marked
        self.marked = now

    def count(self, step: Step) -> None:
        """Counts a step as done."""
        self.audio += step.seconds
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """What W&B and metrics.jsonl are told of the time."""
        elapsed = time.perf_counter() - self.started
        return {
            "time/step_seconds": elapsed / self.steps,
            **{f"time/{part}_share": seconds / elapsed for part, seconds in self.parts.items()},
            "time/audio_hours_per_hour": self.audio / elapsed,
        }
