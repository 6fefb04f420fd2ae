"""The watchdog names the stage of a training that makes no progress and shows its stacks."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.training.timing import Watchdog
from tests.helpers.trainings import SHORT_BATCHES, prepare_tones, run_folder, train


class Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.any, self.texts = threading.Event(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.any.set()


@pytest.fixture
def logged() -> Iterator[Messages]:
    handler = Messages()
    logger = logging.getLogger("asr.training.timing")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_it_names_the_stage_and_shows_the_stack_of_the_main_thread(logged: Messages) -> None:
    with Watchdog(minutes=0.0005, rank=3) as watchdog:
        watchdog.reach("step 7, waiting for data")
        assert logged.any.wait(30)
    message = logged.texts[0]
    assert "Rank 3 has ended no step" in message and "step 7, waiting for data" in message
    assert "logged.any.wait(30)" in message, "the line that hangs"


def test_stages_alone_are_no_progress(logged: Messages) -> None:
    with Watchdog(minutes=0.0005, rank=0) as watchdog:
        while not logged.any.is_set():
            watchdog.reach("step 7, waiting for data")
    assert "Rank 0 has ended no step" in logged.texts[0]


def test_it_is_silent_while_there_is_progress(logged: Messages) -> None:
    with Watchdog(minutes=60, rank=0) as watchdog:
        watchdog.step_ended()
    assert not logged.texts


def test_a_training_whose_data_does_not_come_says_so(tmp_path: Path) -> None:
    recipe = prepare_tones(tmp_path / "data")
    settings = ["debug=one_batch", "hardware.workers=0", "cluster.watchdog_minutes=0.002", SHORT_BATCHES]
    assert train(recipe, tmp_path, settings, SLOW_READS="0.1") == 0
    log = (run_folder(tmp_path, recipe) / "train.log").read_text()
    assert "waiting for data. Its stacks:" in log and "in slow" in log, "the stage, and the function that is slow"
