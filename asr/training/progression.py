"""How far a training is, and where its time goes."""

import time
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


@dataclass
class Clock:
    """Where the time since the last line of metrics went, and what it was spent on."""

    waited: float = 0.0
    """Time spent on waiting for data (s)."""
    audio: float = 0.0
    """Audio fed over all ranks, after speed perturbation (s)."""
    steps: int = 0
    started: float = field(default_factory=time.perf_counter)

    def count(self, step: Step) -> None:
        """Counts a step as done."""
        self.audio += step.seconds
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """What W&B and metrics.jsonl are told of the time."""
        elapsed = time.perf_counter() - self.started
        return {
            "time/step_seconds": elapsed / self.steps,
            "time/data_wait_share": self.waited / elapsed,
            "time/audio_hours_per_hour": self.audio / elapsed,
        }
