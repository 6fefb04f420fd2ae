"""Signals: the step in progress is finished and saved before the training ends.

Ctrl-C and SIGTERM end a training; SIGUSR1 and SIGUSR2 are Slurm's warning that the time is nearly up
(`sbatch --signal=USR1@120`). A second Ctrl-C exits immediately, even where a rank waits for others that never answer.
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
"""How long a Slurm step waits after SIGTERM for Slurm to end it, before it exits by itself."""


class Interruption:
    """Which signal asked the training to end; 0 while none did."""

    signal = 0


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Catches the first signal; later ones change nothing, except a second Ctrl-C, which ends the process.

    Slurm and torchrun send several: a warning and then SIGTERM, or each Ctrl-C twice. None of them may keep the
    training from saving after the first one.
    """
    interruption = Interruption()
    earlier = {number: signal.getsignal(number) for number in SIGNALS}

    def remember(number: int, frame: FrameType | None) -> None:
        interruption.signal = interruption.signal or number

    with _exit_at_second_ctrl_c():
        for number in SIGNALS:
            signal.signal(number, remember)
        try:
            yield interruption
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def await_the_end(number: int) -> None:
    """After SIGTERM, waits for Slurm to end the step of a job.

    A preempted job has a grace time after SIGTERM, and is requeued when it is over; a job whose steps exit before may
    count as failed and not be requeued.
    """
    if number == signal.SIGTERM and "SLURM_STEP_ID" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(GRACE_SECONDS)


@contextmanager
def _exit_at_second_ctrl_c() -> Iterator[None]:
    """Listens in a thread, since Python calls no handler while the main thread is in a collective of the ranks."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def listen() -> None:
        first = float("inf")
        while number := receiver.recv(1):
            if number[0] != signal.SIGINT:
                continue
            if time.monotonic() - first > ONE_CTRL_C:
                os.write(2, b"asr: exiting immediately.\n")
                os._exit(128 + signal.SIGINT)
            first = min(first, time.monotonic())

    threading.Thread(target=listen, name="second Ctrl-C", daemon=True).start()
    earlier = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        sender.close()  # ends the thread
