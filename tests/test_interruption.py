"""Signals are remembered, and only a second Ctrl-C interrupts."""

import os
import signal

import pytest

from asr.training import interruption as module
from asr.training.interruption import SIGNALS, watch_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_remembered_and_the_next_ones_change_nothing(number: int) -> None:
    with watch_signals() as interruption:
        assert interruption.signal == 0
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert interruption.signal == number


def test_a_second_ctrl_c_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ONE_CTRL_C", 0.0)
    with watch_signals() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_ctrl_c_that_torchrun_passes_on_counts_once() -> None:
    with watch_signals() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.signal == signal.SIGINT


def test_afterwards_signals_go_to_who_handled_them_before() -> None:
    heard = []
    earlier = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        with watch_signals():
            os.kill(os.getpid(), signal.SIGUSR2)
        assert heard == []
        os.kill(os.getpid(), signal.SIGUSR2)
        assert heard == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, earlier)
