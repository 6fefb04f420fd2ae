"""Ctrl-C and SIGTERM: the step in progress is finished and saved first; a second Ctrl-C leaves at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Which signal asked the training to end; 0 while none did."""

    signal = 0


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Catches the first signal and hands the next ones to whoever handled them before."""
    interruption = Interruption()
    earlier = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in earlier.items():
            signal.signal(number, handler)

    def remember(number: int, frame: FrameType | None) -> None:
        interruption.signal = number
        restore()

    for number in SIGNALS:
        signal.signal(number, remember)
    try:
        yield interruption
    finally:
        restore()
