"""Progress in a log: counts that never exceed their total, and the time that is left."""

import logging

import pytest

from asr.common import progress
from asr.common.progress import Progress


class Time:
    """A clock that the test moves."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Time:
    clock = Time()
    monkeypatch.setattr(progress, "time", clock)
    caplog.set_level(logging.INFO, "asr.common.progress")
    return clock


def lines(time: Time, caplog: pytest.LogCaptureFixture, shown: Progress, steps: list[tuple[float, float]]) -> list[str]:
    """What is logged for seconds that pass, and the units that are done in them."""
    with shown:
        for seconds, units in steps:
            time.now += seconds
            shown.advance(units, "loss 1.0")
    return caplog.messages


def test_lines_have_the_time_that_is_left(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    said = lines(time, caplog, Progress("Training", 100, "steps"), [(10, 10), (10, 10), (20, 60), (20, 20)])
    assert said == [
        "Training: 20 of 100 steps, 0:01:20 left, loss 1.0",
        "Training: 80 of 100 steps, 0:00:10 left, loss 1.0",
        "Training: 100 of 100 steps, loss 1.0",
    ]


def test_what_an_earlier_process_did_does_not_count_for_the_speed(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    said = lines(time, caplog, Progress("Training", 1000, "steps", done=900), [(20, 10)])
    assert said == ["Training: 910 of 1000 steps, 0:03:00 left, loss 1.0"]


def test_parts_of_units_add_up(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    said = lines(time, caplog, Progress("Transcribing", 300.0, "s of audio"), [(0.125, 0.5)] * 560)
    assert len(said) == 4 and said[-1] == "Transcribing: 240 of 300 s of audio, 0:00:15 left, loss 1.0"


@pytest.mark.parametrize("total", [0, 30])
def test_a_total_that_is_unknown_or_was_wrong_is_not_shown(
    total: float, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines(time, caplog, Progress("Reading", total, "MB"), [(20, 40)]) == ["Reading: 40 MB, loss 1.0"]


def test_a_total_may_be_corrected(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    shown = Progress("Training", 10, "steps")
    shown.expect(20)
    assert lines(time, caplog, shown, [(20, 10)]) == ["Training: 10 of 20 steps, 0:00:20 left, loss 1.0"]
