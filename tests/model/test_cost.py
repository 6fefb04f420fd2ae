"""The multiply-adds of a model, against those that PyTorch counts while it runs."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from asr.model.acoustic import multiply_adds_per_second
from asr.model.folder import build_model
from asr.model.kernel import library, product
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe

FRAMES = 400


@pytest.fixture
def without_kernel() -> Iterator[None]:
    library.enable(False)
    yield
    library.enable(True)


@pytest.mark.usefixtures("without_kernel")
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # said when oneDNN is switched off
@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "ligru", "hybrid_alternating", "lstm_streaming"])
@pytest.mark.parametrize(
    "overrides", [["model.subsampling=2"], ["model.subsampling=4", "features.mels=45", "model.projection=14"]]
)
def test_multiply_adds_are_those_of_the_operators(
    model: str, overrides: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose(find_recipe("an4"), [f"model={model}", "model.hidden=20", "model.channels=6", *overrides])
    tokens = 11
    built = build_model(config, tokens).eval()
    dim = config.features.mels
    assert dim is not None
    # Without the kernel and without oneDNN's fused layers PyTorch composes layers of products that it counts.
    monkeypatch.setattr(product, "ROWS", 1)
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter, torch.no_grad():
        built(torch.zeros(1, FRAMES, dim), torch.tensor([FRAMES]))
    seconds = FRAMES * config.features.hop_ms / 1000
    counted = counter.get_total_flops() / 2 / seconds
    costs = multiply_adds_per_second(config.model, dim, tokens, config.features.hop_ms)
    assert sum(costs.values()) == pytest.approx(counted, rel=1e-9)
