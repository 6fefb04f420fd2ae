"""On a GPU nothing waits for the device within a step: shown by tensors that only pretend to be there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from asr.common.seeds import Draws
from asr.features.augment import spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import FrontEnd
from asr.model.acoustic import AcousticModel
from asr.model.recurrent import RecurrentLayer
from asr.settings.compose import compose
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.training.acoustic_task import Objective
from asr.training.distributed import Ranks, RankStatus, all_reduce_outcome
from asr.training.hardware import Hardware

CONFIG = compose(Recipe(RECIPES / "an4"), ["model.hidden=8", "model.channels=4", "model.intermediate_layer=1"])
GPU = torch.device("cuda", 0)


class Reads(TorchDispatchMode):
    """Counts copies from a GPU to main memory, and values that are taken out of its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        to = (kwargs or {}).get("device")
        on_gpu = isinstance(args[0] if args else None, Tensor) and args[0].is_cuda
        if on_gpu and ("_local_scalar_dense" in str(func) or (to is not None and torch.device(to).type == "cpu")):
            self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> FakeTensorMode:
    """A mode whose tensors have no content. Packing needs real lengths, so layers are stood in for."""

    def packed(self: RecurrentLayer, inputs: Tensor, lengths: Tensor) -> Tensor:
        assert not lengths.is_cuda, "cuDNN asks for them in main memory"
        return torch.cat([inputs] * 16, dim=2)[:, :, : self.directions * self.hidden]

    monkeypatch.setattr(RecurrentLayer, "packed", packed)
    return FakeTensorMode(allow_non_fake_inputs=True)


def made_on_gpu(make: Callable[[], AcousticModel]) -> AcousticModel:
    torch.set_default_device(GPU)
    try:
        return make()
    finally:
        torch.set_default_device(None)


def test_from_features_to_log_probabilities_nothing_is_read(pretending: FakeTensorMode) -> None:
    extractor, lengths = FeatureExtractor(CONFIG.features, 16000), torch.tensor([98, 50])
    draws, masks = Draws(np.array([1, 2], dtype=np.uint64), seed=1, epoch=0), CONFIG.augment.spec_augment
    with pretending:
        model = made_on_gpu(lambda: AcousticModel(CONFIG.model, extractor.dim, 30, CONFIG.features.normalization))
        front = FrontEnd(extractor, model.normalizer)
        with Reads() as reads:
            inputs = torch.zeros(2, 98, extractor.dim, device=GPU)
            features, frames = front(inputs, lengths.to(GPU, non_blocking=True))
            features = spec_augment(features, frames, draws, masks, 10.0)
            heads, ends = model.all_heads(features, lengths)
    assert all(head.is_cuda for head in heads) and not ends.is_cuda
    assert reads.count == 0


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_loss_is_on_the_device_wherever_it_is_computed(
    deterministic: bool, pretending: FakeTensorMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GradScaler keeps its scale where the first loss is; in main memory it would be read before the GPU wrote it."""
    monkeypatch.setattr(torch.nn.functional, "ctc_loss", lambda log_probs, *args, **settings: log_probs.sum())
    config = replace(CONFIG.training, deterministic=deterministic)
    lengths, labels, label_lengths = torch.tensor([98, 50]), torch.tensor([1, 2, 3]), torch.tensor([2, 1])
    with pretending:
        model = made_on_gpu(lambda: AcousticModel(CONFIG.model, 80, 30, CONFIG.features.normalization))
        objective = Objective(model, config, Hardware(GPU, Precision.fp16))
        loss = objective(torch.zeros(2, 98, 80, device=GPU), lengths, labels.to(GPU), label_lengths)
    assert loss.is_cuda


def test_ranks_read_the_device_once_for_the_outcome_of_a_step(
    pretending: FakeTensorMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Tensor] = []

    def tolist(tensor: Tensor) -> list[float]:
        read.append(tensor)
        return [0.0] * len(tensor)

    monkeypatch.setattr(FakeTensor, "tolist", tolist)
    with pretending:
        loss, norm = torch.zeros((), dtype=torch.float64, device=GPU), torch.zeros((), device=GPU)
        with Reads() as reads:
            all_reduce_outcome(Ranks(0, 1), loss, norm, RankStatus())
    assert len(read) == 1 and read[0].is_cuda and reads.count == 0


def test_readings_are_noticed(pretending: FakeTensorMode) -> None:
    with pretending, Reads() as reads:
        torch.zeros(3, device=GPU).cpu()
        with pytest.raises(DataDependentOutputException):
            torch.zeros((), device=GPU).item()
    assert reads.count == 2
