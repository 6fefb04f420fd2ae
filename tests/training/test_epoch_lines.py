"""What the terminal and train.log say while a training runs."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from asr.training.session import _outcome
from asr.training.task import AUDIO, TEXT, Validation
from asr.training.train_state import TrainState


def step(position: int, steps: int) -> Any:
    return SimpleNamespace(epoch=0, position=position, ends_epoch=position + 1 == steps)


def test_the_line_of_an_epoch_has_the_losses_of_train_and_dev_beside_the_error_rate() -> None:
    state = TrainState()
    for position, loss in enumerate([4.0, math.nan, 2.0]):
        state.advance(step(position, 3), loss)
    validation = Validation(0.125, {"dev/loss": 1.5, "dev/wer": 0.125}, "dev WER 12.50 %, CER 6.00 %")
    assert validation.of_epoch(state) == ("Epoch 1: train loss 3.000, dev loss 1.500, dev WER 12.50 %, CER 6.00 %")
    assert state.epoch_metrics == {"train/epoch_loss": 3.0}
    state.advance(step(0, 3), 1.0)
    assert state.epoch_loss == 1.0


def test_an_epoch_without_a_finite_loss_has_none_in_its_line() -> None:
    state = TrainState()
    state.advance(step(0, 1), math.inf)
    assert Validation(1.0, {}, "dev WER 100.00 %").of_epoch(state) == "Epoch 1: dev WER 100.00 %"
    assert state.epoch_metrics == {}


@pytest.mark.parametrize(
    ("unit", "scores", "shown"),
    [
        (AUDIO, [0.5, 0.25, 0.3], ", last dev WER 30.00 %, best dev WER 25.00 %"),
        (AUDIO, [0.5], ", last dev WER 50.00 %, best dev WER 50.00 %"),
        (TEXT, [30.0, 40.0], ", last held-out perplexity 40.00, best held-out perplexity 30.00"),
        (AUDIO, [], ""),
    ],
)
def test_the_progress_line_tells_the_last_score_from_the_best(unit: Any, scores: list[float], shown: str) -> None:
    state = TrainState()
    for epoch, score in enumerate(scores, start=1):
        state.epoch = epoch
        state.validated(score)
    assert unit.note(state, 1.5, 1e-3, "") == f"loss 1.500{shown}, lr 1.0e-03"


@pytest.mark.parametrize(
    ("scores", "with_dev", "shown"),
    [
        ([0.3, 0.0, 0.1, 0.0], False, "0.00 after epoch 2; the kept model is the last that has it, of epoch 4"),
        ([0.3, 0.0, 0.1], False, "0.00 after epoch 2"),
        ([1.0, 1.0, 1.0], False, "1.00 after epoch 1; the kept model is the last that has it, of epoch 3"),
        ([0.3, 0.0, 0.1], True, "0.10 after epoch 3"),
    ],
)
def test_the_best_epoch_is_the_first_of_equals(scores: list[float], with_dev: bool, shown: str) -> None:
    state = TrainState()
    for epoch, score in enumerate(scores, start=1):
        state.epoch = epoch
        state.validated(score, keep_last=with_dev)
    config = SimpleNamespace(training=SimpleNamespace(with_dev=with_dev))
    training: Any = SimpleNamespace(config=config, outcome=lambda score: f"{score:.2f}")
    trainer: Any = SimpleNamespace(state=state)
    assert _outcome(training, trainer) == shown
