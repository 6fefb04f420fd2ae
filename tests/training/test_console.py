"""What a training says of itself: steps of their total, and the speed by two clocks."""

from itertools import accumulate
from types import SimpleNamespace
from typing import cast

import pytest

from asr.batching.steps import Step
from asr.training.task import AUDIO, PROCESSOR_USE, TEXT
from asr.training.timing import Clock, steps_expected


@pytest.mark.parametrize("sizes", [[5], [11, 12, 10, 12], [11, 13, 13, 14], [20, 7, 1, 30], [1, 1]])
def test_the_steps_never_exceed_their_total_and_end_with_it(sizes: list[int]) -> None:
    begins = [0, *accumulate(sizes)]
    for epoch, size in enumerate(sizes):
        for position in range(size):
            done = begins[epoch] + position + 1
            step = cast(Step, SimpleNamespace(epoch=epoch, position=position, epoch_steps=size))
            expected = steps_expected(done, step, len(sizes))
            assert expected >= done and (expected == done) == (done == sum(sizes))


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        (1.0, "287x real time"),
        (0.9, "287x real time"),
        (0.5, "287x real time (574x in processor time)"),
        (1.6, "287x real time (179x in processor time)"),
        (0.0, "287x real time"),
    ],
)
def test_the_speed_is_shown_by_both_clocks_where_they_differ(use: float, shown: str) -> None:
    assert AUDIO.speeds({AUDIO.speed: 287.0, PROCESSOR_USE: use}) == shown


def test_without_a_processor_the_speed_is_that_by_the_clock() -> None:
    assert TEXT.speeds({TEXT.speed: 1200.0}) == "1200 units/s"
    step = cast(Step, SimpleNamespace(seconds=8.0))
    for threads in (0, 2):
        clock = Clock(AUDIO, threads)
        clock.count(step)
        assert (PROCESSOR_USE in clock.metrics()) == (threads > 0)
