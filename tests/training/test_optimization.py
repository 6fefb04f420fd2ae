"""The learning rate, averaged weights and when a training stops."""

import pytest
import torch
from torch import nn

from asr.settings.schedule import ScheduleConfig, ScheduleKind
from asr.training.optimization import AveragedModel, learning_rate
from asr.training.train_state import TrainState


@pytest.mark.parametrize("kind", list(ScheduleKind))
def test_the_rate_rises_to_its_peak_and_falls_to_its_end(kind: ScheduleKind) -> None:
    config = ScheduleConfig(kind=kind, warmup=0.25, start_ratio=0.1, end_ratio=0.01)
    rates = [learning_rate(2e-3, config, step / 100) for step in range(101)]
    assert rates[0] == pytest.approx(2e-4)
    assert rates[25] == max(rates) == pytest.approx(2e-3)
    assert rates[100] == pytest.approx(2e-5)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_averaged_weights_follow_the_weights_and_decay_0_copies_them() -> None:
    model = nn.Linear(2, 2)
    averages = {decay: AveragedModel(model, decay) for decay in (0.0, 0.9)}
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    for average in averages.values():
        average.update(step=1000)
    assert torch.equal(averages[0.0].module.weight, model.weight)
    torch.testing.assert_close(averages[0.9].module.weight, start + 0.1)


def test_of_equal_models_the_last_is_kept_and_patience_counts_from_the_first() -> None:
    done = TrainState()
    kept = []
    for epoch, wer in enumerate([0.5, 0.2, 0.3, 0.2, 0.2], start=1):
        done.epoch = epoch
        kept.append(done.validated(wer))
    assert kept == [True, True, False, True, True]
    assert (done.best_score, done.best_epoch, done.improved_epoch) == (0.2, 5, 2)
