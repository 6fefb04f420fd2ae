"""Dropout drops the share that it shall, and what the seed says."""

import pytest
import torch

from asr.model import dropout
from asr.model.dropout import Dropout
from asr.model.kernel.library import load


@pytest.mark.parametrize("share", [0.25, 0.1, 0.999])
def test_the_share_is_dropped_and_the_rest_scaled_so_that_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    inputs = torch.full((1001, 999), 3.0, requires_grad=True)
    outputs = Dropout(share)(inputs)
    kept = outputs != 0
    assert kept.float().mean().item() == pytest.approx(1 - share, abs=0.002)
    torch.testing.assert_close(outputs[kept], torch.full_like(outputs[kept], 3 / (1 - share)), rtol=0.01, atol=0)
    for dim in (0, 1):  # no row and no column stands out
        assert (kept.float().mean(dim) - (1 - share)).abs().max() < 0.08
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad, outputs.detach() / 3)


def test_the_seed_determines_what_is_dropped() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(Dropout(0.5)(torch.ones(7, 11)))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_outside_training_and_in_every_type_it_stays_what_it_was(dtype: torch.dtype) -> None:
    inputs = torch.randn(5, 3, dtype=dtype)
    assert torch.equal(Dropout(0.5).eval()(inputs), inputs)
    assert torch.equal(Dropout(0.0)(inputs), inputs)
    assert Dropout(0.5)(inputs).dtype is dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 17, 100_003])
def test_the_kernel_drops_what_torch_would_forwards_and_backwards(
    dtype: torch.dtype, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if load() is None:
        pytest.skip("no kernel here")
    torch.manual_seed(0)
    inputs, weights = torch.randn(count, dtype=dtype, requires_grad=True), torch.randn(count, dtype=dtype)
    results = []
    for library in (load(), None):
        monkeypatch.setattr(dropout, "load", lambda library=library: library)
        torch.manual_seed(1)
        outputs = Dropout(0.3)(inputs)
        results.append((outputs.detach(), *torch.autograd.grad((outputs * weights).sum(), inputs)))
    for mine, theirs in zip(*results, strict=True):
        assert torch.equal(mine, theirs)
