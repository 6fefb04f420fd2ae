"""Where the time of a training goes, and where it is when it makes no progress."""

import logging
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Self

from asr.batching.steps import Step
from asr.training.task import PROCESSOR_USE, Unit

log = logging.getLogger(__name__)


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
    threads: int = 0
    """That compute; 0 where the processor does not."""
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    """Time of each part (s)."""
    processed: float = 0.0
    """Audio of all ranks after speed perturbation (s), or tokens of text."""
    steps: int = 0
    started: float = field(default_factory=time.perf_counter)
    started_using: float = field(default_factory=time.process_time)
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
        elapsed, used = time.perf_counter() - self.started, time.process_time() - self.started_using
        return {
            "time/step_seconds": elapsed / self.steps,
            **{f"time/{part}_share": seconds / elapsed for part, seconds in self.parts.items()},
            self.unit.speed: self.processed / elapsed,
            **({PROCESSOR_USE: used / elapsed / self.threads} if self.threads else {}),
        }


def steps_expected(done: int, step: Step, epochs: int) -> int:
    """Steps of a whole training after so many, the last of which is given.

    Epochs differ in their steps: those to come are taken to have as many as the mean of those so far.
    """
    end_of_epoch = done + step.epoch_steps - step.position - 1
    return round(end_of_epoch * epochs / (step.epoch + 1))


class Watchdog:
    """Watches one rank from a thread of its own; it only logs.

    Where ranks wait for each other, look at the one whose stage differs from that of the others.

    Args:
        minutes: Longest time without the end of a step.
        rank: The rank that it watches.
    """

    def __init__(self, minutes: float, rank: int) -> None:
        self._seconds, self._rank = 60 * minutes, rank
        self._stage, self._moved = "starting", time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def reach(self, stage: str) -> None:
        """Notes what the training does from now on."""
        self._stage = stage

    def step_ended(self) -> None:
        """Notes that the training makes progress."""
        self._moved = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(max(self._moved + self._seconds - time.monotonic(), 0.01)):
            stood = time.monotonic() - self._moved
            if stood >= self._seconds:
                log.error(
                    "Rank %d has ended no step for %.1f minutes and is at: %s. Its stacks:\n%s",
                    self._rank,
                    stood / 60,
                    self._stage,
                    stacks(),
                )
                self._moved = time.monotonic()

    def __enter__(self) -> Self:
        self.step_ended()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def stacks() -> str:
    """The stacks of all other threads of this process."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"Thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )
