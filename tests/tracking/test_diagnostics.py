"""Training diagnostics on constructed curves; those of real trainings are in test_diagnosed_trainings.py."""

import math
from typing import Any

import pytest

from asr.tracking.diagnostics import Severity, diagnose
from tests.helpers.reports import metrics_rows

SETTINGS = {"training.epochs": 20}


def found(epochs: int = 20, skipped: int = 0, settings: dict[str, Any] = SETTINGS, **values: Any) -> dict[str, str]:
    rows = metrics_rows(epochs, **values)
    return {one.kind: one.sentence for one in diagnose(rows, settings, ["a line"] * skipped)}


def test_a_healthy_training_has_no_diagnostics() -> None:
    assert found() == {}


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_the_first_epochs_have_no_diagnostics(epochs: int) -> None:
    assert found(epochs, dev__wer=1.0, dev__cer=1.0) == {}


def test_a_dev_wer_that_rises_while_the_loss_falls_is_over_fitting() -> None:
    sentences = found(dev__wer=lambda epoch: 0.3 - 0.02 * min(epoch, 10) + 0.01 * max(0, epoch - 10))
    assert sentences.keys() == {"over-fit"}
    assert sentences["over-fit"].startswith(
        "dev WER rises since epoch 10, from 10.0 % to 19.0 %, while the training loss"
    )


def test_a_dev_wer_that_fluctuates_is_no_over_fitting() -> None:
    assert found(dev__wer=lambda epoch: 0.3 - 0.02 * min(epoch, 10) + 0.008 * (epoch % 2)) == {}


def test_a_dev_wer_that_rises_with_the_loss_is_no_over_fitting() -> None:
    rises = found(
        dev__wer=lambda epoch: 0.1 + 0.01 * max(0, epoch - 10), train__loss=lambda epoch: 1 + 0.01 * abs(epoch - 10)
    )
    assert "over-fit" not in rises


def test_a_training_on_characters_is_judged_by_its_cer() -> None:
    settings = SETTINGS | {"scoring.unit": "character"}
    falling = {"dev__wer": 1.0, "dev__cer": lambda epoch: 0.9 - 0.04 * min(epoch, 17)}
    assert found(settings=settings, **falling) == {} and "collapse" in found(**falling)
    rising = found(settings=settings, dev__wer=1.0, dev__cer=lambda epoch: 0.2 + 0.01 * abs(epoch - 10))
    assert rising["over-fit"].startswith("dev CER rises since epoch 10, from 20.0 % to 29.0 %")
    silent = found(settings=settings, dev__wer=1.0, dev__cer=1.0)
    assert silent["collapse"].startswith("dev CER is still 100.0 % after 20 epochs")


def test_steps_that_wait_for_data_are_counted() -> None:
    assert found(time__data_wait_share=0.31)["data"].startswith("31 % of step time waits for data:")
    assert found(time__data_wait_share=0.1) == {}


def test_a_start_that_waits_is_not_counted() -> None:
    assert found(time__data_wait_share=lambda epoch: 0.9 if epoch < 0.3 else 0.02) == {}


def test_a_loss_that_rises_again_diverges() -> None:
    sentences = found(train__loss=lambda epoch: 3 / (1 + epoch) if epoch < 5 else 0.5 + epoch / 5)
    assert sentences["diverging"].startswith(
        "The training loss rises from 0.558 at step 19 to 1.58 at step 23 and is 4.43 at step 80 "
    )
    assert "learning rate 1.0e-03 there" in sentences["diverging"]


def test_a_loss_that_is_not_finite_diverges() -> None:
    sentences = found(train__loss=lambda epoch: 3 / (1 + epoch) if epoch < 5 else math.nan)
    assert sentences["diverging"].startswith("The training loss is not finite since step 20 ")


def test_one_bad_batch_is_no_divergence() -> None:
    assert found(train__loss=lambda epoch: 9.0 if epoch == 12 else 3 / (1 + epoch)) == {}


def test_a_model_that_outputs_nothing_from_the_start_has_collapsed() -> None:
    sentences = found(dev__wer=1.0, dev__cer=0.99, dev__blank_share=0.997)
    assert "is still 100.0 % after 20 epochs: the model outputs almost nothing, 99.7 % of" in sentences["collapse"]


def test_a_model_that_fails_after_learning_has_collapsed() -> None:
    sentences = found(
        dev__wer=lambda epoch: 1 / epoch if epoch < 9 else 1.0, dev__cer=lambda epoch: 1 / epoch if epoch < 9 else 1.0
    )
    assert "was 12.5 % after epoch 8 and is 100.0 % since epoch 9: the training collapsed" in sentences["collapse"]


@pytest.mark.parametrize("epochs", [4, 20, 40])
def test_the_slow_start_of_a_long_training_is_no_collapse(epochs: int) -> None:
    assert found(epochs, dev__wer=1.0, dev__cer=0.99, settings={"training.epochs": 80}) == {}


@pytest.mark.parametrize("epochs", [20, 100])
def test_a_collapse_after_learning_is_found_within_two_epochs_however_long_the_training_is(epochs: int) -> None:
    def rate(epoch: float) -> float:
        return 0.5 if epoch < 4 else 1.0

    settings = {"training.epochs": epochs}
    assert "collapse" not in found(4, dev__wer=rate, dev__cer=rate, settings=settings)
    assert "collapse" in found(5, dev__wer=rate, dev__cer=rate, settings=settings)


def test_an_epoch_that_recognizes_nothing_in_a_slow_start_is_no_collapse() -> None:
    wers = [1.0, 0.97, 1.0, 0.95, 0.985, 1.0]
    assert found(6, dev__wer=lambda epoch: wers[round(epoch) - 1], settings={"training.epochs": 80}) == {}


@pytest.mark.parametrize(("last", "told"), [(0.2, True), (0.29, False), (0.3, False)])
def test_a_dev_wer_that_still_falls_at_the_end_asks_for_more_epochs(last: float, told: bool) -> None:
    rates = {"dev__wer": lambda epoch: 0.3 if epoch < 19 else last}
    sentences = found(**rates)
    assert ("under-trained" in sentences) is told
    if told:
        assert sentences["under-trained"].startswith("dev WER still falls in the last 2 epochs, from 30.0 % to 20.0 %")
    assert "under-trained" not in found(19, **rates)


def test_skipped_steps_are_counted() -> None:
    assert found(skipped=2)["skipped"].startswith("Of 80 steps, 2 were skipped")
    assert found(skipped=1)["skipped"].startswith("Of 80 steps, 1 was skipped")


def test_padding_is_counted() -> None:
    assert found(data__padding_share=0.22)["padding"].startswith("22.0 % of the computed frames are padding")


def test_problems_come_before_warnings() -> None:
    rows = metrics_rows(20, time__data_wait_share=0.4, dev__wer=1.0, dev__cer=1.0)
    assert [one.severity for one in diagnose(rows, SETTINGS)] == [Severity.problem, Severity.warning]
