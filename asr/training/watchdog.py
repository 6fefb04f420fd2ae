"""A watchdog: when a training makes no progress, it logs where."""

import logging
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)


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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
