"""The watchdog names the stage of a training that stands still and shows its stacks."""

import logging
import threading
from collections.abc import Iterator

import pytest

from asr.training.watchdog import Watchdog


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.barked, self.messages = threading.Event(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.barked.set()


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    logger = logging.getLogger("asr.training.watchdog")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_it_names_the_stage_and_shows_the_stack_of_the_main_thread(heard: Heard) -> None:
    with Watchdog(minutes=0.0005, rank=3) as watchdog:
        watchdog.reach("step 7, waiting for data")
        assert heard.barked.wait(30)
    message = heard.messages[0]
    assert "Rank 3 has ended no step" in message and "step 7, waiting for data" in message
    assert "heard.barked.wait(30)" in message, "the line that hangs"


def test_stages_alone_are_no_progress(heard: Heard) -> None:
    with Watchdog(minutes=0.0005, rank=0) as watchdog:
        while not heard.barked.is_set():
            watchdog.reach("step 7, waiting for data")


def test_it_is_silent_while_there_is_progress(heard: Heard) -> None:
    with Watchdog(minutes=60, rank=0) as watchdog:
        watchdog.step_ended()
    assert not heard.messages
