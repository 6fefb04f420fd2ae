"""How far a training is, and where its time goes."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from asr.batching.steps import Step


@dataclass(frozen=True)
class Unit:
    """What a task calls the sizes of its examples and its score on dev."""

    speed: str
    """Metric of the amount that is processed each second."""
    shown_speed: str
    """Format of that."""
    judged_by: str
    """Name of the score."""
    figure: str
    """Its key among the figures of a model."""
    shown: str
    """Format of a score."""
    size: str
    """Format of the size of an example."""
    device_limit: str
    """The key that bounds the size of a micro-batch."""

    def score(self, value: float) -> str:
        """A score with its name, as "dev WER 8.3 %"."""
        return f"{self.judged_by} {self.shown.format(value).replace('%', ' %')}"


AUDIO = Unit(
    speed="time/audio_hours_per_hour",
    shown_speed="{:.0f}x real time",
    judged_by="dev WER",
    figure="dev_wer",
    shown="{:.2%}",
    size="{:.1f} s",
    device_limit="batching.max_device_seconds",
)
TEXT = Unit(
    speed="time/units_per_second",
    shown_speed="{:.0f} units/s",
    judged_by="held-out perplexity",
    figure="dev_perplexity",
    shown="{:.2f}",
    size="{:.0f} units",
    device_limit="lm.max_device_units",
)


@dataclass
class TrainState:
    """How far a training is: everything in a checkpoint except tensors."""

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
    """Ids of utterances that became unreadable during the training."""
    best_score: float = float("inf")
    """Best score on the dev split, such as the WER; less is better."""
    best_epoch: int = 0
    """Epochs after which the kept model had it: the last of equals, since small dev splits have many."""
    improved_epoch: int = 0
    """Epochs after which it was first reached."""
    finished: bool = False

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """The state in a checkpoint; one of an earlier version calls the score a WER."""
        score = {"best_score": saved["best_wer"]} if "best_wer" in saved else {}
        return cls(**{key: value for key, value in saved.items() if key != "best_wer"} | score)

    def advance(self, step: Step) -> None:
        """Counts a step."""
        self.step += 1
        self.epoch, self.position = (step.epoch + 1, 0) if step.ends_epoch else (step.epoch, step.position + 1)

    def validated(self, score: float, keep_last: bool = False) -> bool:
        """Records the score on dev after an epoch; says whether to keep the model.

        Args:
            keep_last: Whether the last model counts as the best, whatever its score.
        """
        if score < self.best_score:
            self.improved_epoch = self.epoch
        if score > self.best_score and not keep_last:
            return False
        self.best_score, self.best_epoch = score, self.epoch
        return True

    def note(self, loss: float, learning_rate: float, speed: float | None, unit: Unit) -> str:
        """The text behind the progress bar.

        Args:
            speed: The metric `unit.speed`, once it is known.
        """
        score = f", {unit.score(self.best_score)}" if math.isfinite(self.best_score) else ""
        shown_speed = "" if speed is None else f", {unit.shown_speed.format(speed)}"
        return f"loss {loss:.3f}{score}, lr {learning_rate:.1e}{shown_speed}"


PARTS = ("data_wait", "compute", "update", "ranks_wait")
"""Of a step: waiting for its batches; forward and backward pass with the all-reduce of gradients; clipping and the
optimizer; waiting for the other ranks. The rest is writing metrics and checkpoints. A GPU is read once in a step, after
the all-reduce, so there waiting for the ranks is part of compute."""


@dataclass
class Clock:
    """Where the time since the last line of metrics went, and how much was processed.

    It never waits for a device: a part of a step ends where the step reads the device anyway.
    """

    unit: Unit
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    """Time of each part (s)."""
    processed: float = 0.0
    """Audio of all ranks after speed perturbation (s), or tokens of text."""
    steps: int = 0
    started: float = field(default_factory=time.perf_counter)
    marked: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """Begins a step: the time since the last mark belongs to none of its parts."""
        self.marked = time.perf_counter()

    def mark(self, part: str) -> None:
        """Ends a part of a step, which began with the last mark."""
        now = time.perf_counter()
        self.parts[part] += now - self.marked
        self.marked = now

    def count(self, step: Step) -> None:
        """Counts a step."""
        self.processed += step.seconds
        self.steps += 1

    def metrics(self) -> dict[str, float]:
        """The times that are logged."""
        elapsed = time.perf_counter() - self.started
        return {
            "time/step_seconds": elapsed / self.steps,
            **{f"time/{part}_share": seconds / elapsed for part, seconds in self.parts.items()},
            self.unit.speed: self.processed / elapsed,
        }
