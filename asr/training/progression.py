"""How far a training is, and where its time goes."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from asr.batching.steps import Step


@dataclass(frozen=True)
class Unit:
    """How the sizes of what is learned from, and the score on dev, are called."""

    speed: str
    """Metric of the size fed in each second."""
    speed_words: str
    """Its unit."""
    judged_by: str
    """What the score is."""
    figure: str
    """Its name among the figures of a model."""
    shown: str
    """Format of a score."""
    size: str
    """Of an example, with its unit."""
    device_limit: str
    """The key that bounds what a device takes at once."""

    def score(self, value: float) -> str:
        """A score with what it is, as "dev WER 8.3 %"."""
        return f"{self.judged_by} {self.shown.format(value).replace('%', ' %')}"


AUDIO = Unit(
    speed="time/audio_hours_per_hour",
    speed_words="h of audio/h",
    judged_by="dev WER",
    figure="dev_wer",
    shown="{:.2%}",
    size="{:.1f} s",
    device_limit="batching.max_device_seconds",
)
TEXT = Unit(
    speed="time/units_per_second",
    speed_words="units/s",
    judged_by="held-out perplexity",
    figure="dev_perplexity",
    shown="{:.2f}",
    size="{:.0f} units",
    device_limit="lm.max_device_units",
)


@dataclass
class TrainState:
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
    best_score: float = float("inf")
    """Best score on the dev split: what the task is judged by, such as the WER; less is better."""
    best_epoch: int = 0
    """After how many epochs the kept model had it: of equals the last, since small dev splits have many."""
    improved_epoch: int = 0
    """After how many epochs it was first reached."""
    finished: bool = False

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """What a checkpoint holds; one of an earlier version calls the score a WER."""
        score = {"best_score": saved["best_wer"]} if "best_wer" in saved else {}
        return cls(**{key: value for key, value in saved.items() if key != "best_wer"} | score)

    def validated(self, score: float, keep_last: bool = False) -> bool:
        """Takes in the score on dev after an epoch; says whether the model shall be kept.

        Args:
            keep_last: Whether the last model counts as the best, whatever its score.
        """
        if score < self.best_score:
            self.improved_epoch = self.epoch
        if score > self.best_score and not keep_last:
            return False
        self.best_score, self.best_epoch = score, self.epoch
        return True

    def note(self, loss: float, rate: float, speed: Mapping[str, float], unit: Unit) -> str:
        """What stands behind the progress bar."""
        score = f", {unit.score(self.best_score)}" if math.isfinite(self.best_score) else ""
        per_second = f", {speed[unit.speed]:.0f} {unit.speed_words}" if speed else ""
        return f"loss {loss:.3f}{score}, rate {rate:.1e}{per_second}"


PARTS = ("data_wait", "compute", "update", "ranks_wait")
"""Of a step: waiting for its batches; forward and backward pass with the exchange of gradients; clipping and the
optimizer; waiting for the other ranks. The rest is writing: metrics and checkpoints. A GPU is read once in a
step, after the exchange, so there waiting for the ranks is part of compute."""


@dataclass
class Clock:
    """Where the time since the last line of metrics went, and what it was spent on.

    It waits for no device: a part of a step ends where the step reads the device anyway.
    """

    unit: Unit
    """Of what it was spent on."""
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    """Time spent (s)."""
    fed: float = 0.0
    """Audio fed over all ranks, after speed perturbation (s); tokens of text."""
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
        self.fed += step.seconds
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """What W&B and metrics.jsonl are told of the time."""
        elapsed = time.perf_counter() - self.started
        return {
            "time/step_seconds": elapsed / self.steps,
            **{f"time/{part}_share": seconds / elapsed for part, seconds in self.parts.items()},
            self.unit.speed: self.fed / elapsed,
        }
