"""Signals are noted, and only a second Ctrl-C interrupts."""

import os
import signal
import subprocess
import sys

import pytest

from asr.training.interruption import SIGNALS, watch_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_remembered_and_the_next_ones_change_nothing(number: int) -> None:
    with watch_signals() as interruption:
        assert interruption.signal == 0
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert interruption.signal == number


HANGS = """
import ctypes
from asr.training import interruption
interruption.ONE_CTRL_C = 0.0
lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
with interruption.watch_signals():
    lock(mutex)
    print("hangs", flush=True)
    lock(mutex)
"""


def test_a_second_ctrl_c_leaves_at_once_even_where_no_handler_is_called() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"hangs\n"
            for _ in range(100):
                process.send_signal(signal.SIGINT)
                try:
                    assert process.wait(0.3) == 130
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                pytest.fail("it is still there")
        finally:
            process.kill()


def test_a_ctrl_c_that_torchrun_passes_on_counts_once() -> None:
    with watch_signals() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signal == signal.SIGINT


def test_afterwards_signals_go_to_their_previous_handlers() -> None:
    received = []
    earlier = signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))
    try:
        with watch_signals():
            os.kill(os.getpid(), signal.SIGUSR2)
        assert received == []
        os.kill(os.getpid(), signal.SIGUSR2)
        assert received == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, earlier)
