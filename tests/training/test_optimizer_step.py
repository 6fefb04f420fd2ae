"""From gradients to weights: the loss scale of float16, and what ranks all-reduce of a step."""

import copy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from asr.settings.hardware import Precision
from asr.settings.optimizer import OptimizerConfig
from asr.training.checkpoint import newest_checkpoint, save_checkpoint
from asr.training.distributed import Ranks, RankStatus, all_reduce_outcome
from asr.training.hardware import Hardware
from asr.training.optimization import AveragedModel, OptimizerStep, build_optimizer

ALONE = Ranks(0, 1)
GPU = pytest.param("cuda", marks=pytest.mark.gpu)


def optimizer_step(precision: Precision, device: str = "cpu") -> OptimizerStep:
    torch.manual_seed(0)
    model = nn.Linear(8, 4).to(device)
    optimizer = build_optimizer(model, OptimizerConfig(0.01, 0.9, 0.98, 0.0))
    return OptimizerStep(model, optimizer, AveragedModel(model, 0.9), 1.0, Hardware(torch.device(device), precision))


def loss_of(own: OptimizerStep, factor: float = 1.0) -> Tensor:
    device = next(own.model.parameters()).device
    inputs = torch.linspace(-1, 1, 24, device=device).reshape(3, 8)
    return (own.model(inputs).double().square().sum()) * factor


def step(own: OptimizerStep, number: int, factor: float = 1.0) -> bool:
    torch.autograd.backward(own.scale(loss_of(own, factor)))
    own.unscale()
    norm = own.gradient_norm()
    outcome = all_reduce_outcome(ALONE, loss_of(own, factor).detach(), norm, RankStatus())
    if outcome.finite:
        own.step(norm, number)
    own.finish()
    return outcome.finite


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_the_loss_scale_changes_no_gradient(device: str) -> None:
    weights = []
    for precision in (Precision.fp32, Precision.fp16):
        own = optimizer_step(precision, device)
        assert all(step(own, number) for number in (1, 2, 3))
        weights.append([weight.detach() for weight in own.model.parameters()])
    for plain, scaled in zip(*weights, strict=True):
        torch.testing.assert_close(scaled, plain)


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_gradients_that_overflow_lower_the_scale_and_change_no_weight(device: str) -> None:
    own = optimizer_step(Precision.fp16, device)
    before = [weight.detach().clone() for weight in own.model.parameters()]
    scale = own.metrics()["train/loss_scale"]
    assert not step(own, 1, factor=1e36), "finite by itself, and not when it is scaled"
    assert all(torch.equal(*pair) for pair in zip(before, own.model.parameters(), strict=True))
    assert own.metrics()["train/loss_scale"] == scale / 2
    assert own.overflowed()
    while own.metrics()["train/loss_scale"] > 1:
        assert not step(own, 1, factor=float("inf"))
    assert not own.overflowed(), "it is no overflow where nothing is scaled any more"


def test_without_float16_no_gradient_counts_as_an_overflow() -> None:
    own = optimizer_step(Precision.bf16)
    assert not own.overflowed() and own.metrics() == {} and own.scaler.state_dict() == {}


def test_the_scale_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    own = optimizer_step(Precision.fp16)
    step(own, 1, factor=1e36)
    step(own, 2)
    save_checkpoint(tmp_path, 2, {"scaler": own.scaler.state_dict()}, keep=1)
    state, again = newest_checkpoint(tmp_path), optimizer_step(Precision.fp16)
    assert state is not None
    again.scaler.load_state_dict(state["scaler"])
    assert again.scaler.state_dict() == own.scaler.state_dict()


@pytest.mark.parametrize(
    ("loss", "norm", "finite"),
    [(1.0, 2.0, True), (float("nan"), 2.0, False), (1.0, float("inf"), False), (float("inf"), float("nan"), False)],
)
def test_a_step_is_finite_where_loss_and_gradient_are(loss: float, norm: float, finite: bool) -> None:
    status = RankStatus(unreadable_labels=3, checkpoint_failed=True)
    outcome = all_reduce_outcome(ALONE, torch.tensor(loss, dtype=torch.float64), torch.tensor(norm), status)
    assert (outcome.finite, outcome.unreadable_labels, outcome.checkpoint_due) == (finite, 3, False)
    assert outcome.checkpoint_failed and outcome.signal == 0
    assert outcome.gradient_norm == norm or outcome.gradient_norm != outcome.gradient_norm


def test_of_several_signals_the_warning_of_slurm_counts() -> None:
    class Two(Ranks):
        def sum(self, values: Tensor) -> Tensor:
            values += torch.cat([torch.zeros(6), torch.tensor([0.0, 0.0, 0.0, 1.0])]).double()
            return values

    status = RankStatus(checkpoint_due=True, signal=signal.SIGTERM)
    outcome = all_reduce_outcome(Two(0, 2), torch.zeros((), dtype=torch.float64), torch.ones(()), status)
    assert outcome.signal == signal.SIGUSR2 and outcome.checkpoint_due


def test_the_optimizer_is_pytorchs_adamw_to_the_bit() -> None:
    own = optimizer_step(Precision.fp32)
    model = copy.deepcopy(own.model)
    plain = AdamW(model.parameters(), 0.01, (0.9, 0.98), weight_decay=0.0, fused=True)
    for number in (1, 2, 3):
        loss_of(own).backward()
        own.step(torch.tensor(0.5), number)  # too short to be clipped
        own.finish()
        model(torch.linspace(-1, 1, 24).reshape(3, 8)).double().square().sum().backward()
        plain.step()
        plain.zero_grad()
    torch.testing.assert_close(own.model.state_dict(), model.state_dict(), rtol=0, atol=0)
    (*_, state) = own.optimizer.state_dict()["state"].values()
    (*_, expected) = plain.state_dict()["state"].values()
    torch.testing.assert_close(state, expected, rtol=0, atol=0)


def test_an_optimizer_costs_no_import_of_the_compiler() -> None:
    script = """
import sys
from torch import nn
from asr.settings.optimizer import OptimizerConfig
from asr.training.optimization import build_optimizer
model = nn.Linear(2, 2)
optimizer = build_optimizer(model, OptimizerConfig(0.01, 0.9, 0.98, 0.0))
next(model.parameters()).sum().backward()
optimizer.step()
optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
