"""The dense bidirectional layers against PyTorch's packed sequences."""

import pytest
import torch
from torch import Tensor

from asr.model.config import Cell
from asr.model.recurrent import BidirectionalLayer, permute_frames, reversal

LENGTHS = torch.tensor([23, 7, 40, 1])


def outputs_and_gradients(layer: BidirectionalLayer, path: str, inputs: Tensor) -> list[Tensor]:
    inputs = inputs.clone().requires_grad_()
    outputs = getattr(layer, path)(inputs, LENGTHS)
    valid = (torch.arange(len(inputs))[:, None] < LENGTHS)[:, :, None]
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=inputs.dtype).view_as(outputs)
    loss = (outputs * weights * valid).sum()
    gradients = torch.autograd.grad(loss, [inputs, *layer.parameters()])
    return [outputs * valid, *gradients]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", list(Cell))
def test_the_dense_way_equals_the_packed_way_forward_and_backward(cell: Cell, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = BidirectionalLayer(cell, input_dim=12, hidden=8).to(dtype)
    inputs = torch.randn(45, len(LENGTHS), 12, dtype=dtype)
    for dense, packed in zip(
        *(outputs_and_gradients(layer, path, inputs) for path in ("dense", "packed")), strict=True
    ):
        torch.testing.assert_close(dense, packed, rtol=1e-4 if dtype is torch.float32 else 1e-10, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("cell", list(Cell))
def test_a_gpu_gives_what_a_cpu_gives(cell: Cell) -> None:
    torch.manual_seed(0)
    layer = BidirectionalLayer(cell, input_dim=12, hidden=8)
    inputs = torch.randn(45, len(LENGTHS), 12)
    on_cpu = layer(inputs, LENGTHS)
    on_gpu = layer.cuda()(inputs.cuda(), LENGTHS.cuda()).cpu()
    for number, length in enumerate(LENGTHS):
        torch.testing.assert_close(on_gpu[:length, number], on_cpu[:length, number], rtol=1e-4, atol=1e-4)


def test_reversal_turns_each_utterance_within_its_own_length() -> None:
    frames = torch.arange(5.0)[:, None, None].expand(5, 2, 1)
    turned = permute_frames(frames, reversal(torch.tensor([3, 5]), 5))
    assert turned[:, 0, 0].tolist() == [2, 1, 0, 3, 4]
    assert turned[:, 1, 0].tolist() == [4, 3, 2, 1, 0]
