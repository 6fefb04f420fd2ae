"""Signals: the step in progress is finished and saved first, then the job is handed back to whoever runs it.

Ctrl-C and SIGTERM end a training; SIGUSR1 and SIGUSR2 are Slurm's warning that the time is nearly up
(`sbatch --signal=USR1@120`). A second Ctrl-C leaves at once.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

ONE_CTRL_C = 1.0
"""Within it (s), a second SIGINT is the same Ctrl-C, passed on by torchrun."""


class Interruption:
    """Which signal asked the training to end; 0 while none did."""

    signal = 0


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Catches the first signal; later ones change nothing, but for a second Ctrl-C.

    Slurm and torchrun send several: a warning and then SIGTERM, or each Ctrl-C twice. None of them may keep the
    training from saving what the first one asked for.
    """
    interruption = Interruption()
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    first_ctrl_c = float("inf")

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal first_ctrl_c
        now = time.monotonic()
        if number == signal.SIGINT and now - first_ctrl_c > ONE_CTRL_C:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            first_ctrl_c = min(first_ctrl_c, now)
        interruption.signal = interruption.signal or number

    for number in SIGNALS:
        signal.signal(number, remember)
    try:
        yield interruption
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
