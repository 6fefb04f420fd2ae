"""Signals: the step in progress is finished and saved first, then the job is handed back to whoever runs it.

Ctrl-C and SIGTERM end a training; SIGUSR1 and SIGUSR2 are Slurm's warning that the time is nearly up
(`sbatch --signal=USR1@120`). A second Ctrl-C leaves at once, even where a rank waits for others that never answer.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

ONE_CTRL_C = 1.0
"""Within it (s), a second SIGINT is the same Ctrl-C, passed on by torchrun."""

GRACE_SECONDS = 600.0
"""How long a step that got SIGTERM waits for Slurm to end it, before it ends by itself."""


class Interruption:
    """Which signal asked the training to end; 0 while none did."""

    signal = 0


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Catches the first signal; later ones change nothing, but for a second Ctrl-C, which ends the process.

    Slurm and torchrun send several: a warning and then SIGTERM, or each Ctrl-C twice. None of them may keep the
    training from saving what the first one asked for.
    """
    interruption = Interruption()
    earlier = {number: signal.getsignal(number) for number in SIGNALS}

    def remember(number: int, frame: FrameType | None) -> None:
        interruption.signal = interruption.signal or number

    with _leaving_at_a_second_ctrl_c():
        for number in SIGNALS:
            signal.signal(number, remember)
        try:
            yield interruption
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def await_the_end(number: int) -> None:
    """After SIGTERM leaves it to Slurm to end a step of a job.

    A preempted job has its grace time from SIGTERM on, and is requeued when that is over; one whose steps end by
    themselves before may count as failed and stay away from the queue.
    """
    if number == signal.SIGTERM and "SLURM_STEP_ID" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(GRACE_SECONDS)


@contextmanager
def _leaving_at_a_second_ctrl_c() -> Iterator[None]:
    """Listens in a thread, for Python calls no handler while the main thread is within an exchange between ranks."""
    heard, told = socket.socketpair()
    told.setblocking(False)

    def listen() -> None:
        first = float("inf")
        while number := heard.recv(1):
            if number[0] != signal.SIGINT:
                continue
            if time.monotonic() - first > ONE_CTRL_C:
                os.write(2, b"asr: Left at once.\n")
                os._exit(128 + signal.SIGINT)
            first = min(first, time.monotonic())

    threading.Thread(target=listen, name="second Ctrl-C", daemon=True).start()
    earlier = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        told.close()  # ends the thread
