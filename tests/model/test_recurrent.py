"""Recurrent layers: the dense way against PyTorch's packed sequences, the light GRU against its equations."""

import pytest
import torch
from torch import Tensor

from asr.model.recurrent import RecurrentLayer, permute_frames, reversal
from asr.settings.model import Cell
from asr.training.hardware import allow_tf32

LENGTHS = torch.tensor([23, 7, 40, 1])
PACKED = [Cell.rnn, Cell.lstm, Cell.gru]


def make_layer(cell: Cell, bidirectional: bool, dtype: torch.dtype = torch.float32) -> RecurrentLayer:
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, input_dim=12, hidden=8, bidirectional=bidirectional)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += torch.empty_like(parameter).uniform_(-0.3, 0.3)
    return layer.to(dtype)


def outputs_and_gradients(layer: RecurrentLayer, path: str, inputs: Tensor, lengths: Tensor = LENGTHS) -> list[Tensor]:
    inputs = inputs.clone().requires_grad_()
    outputs = getattr(layer, path)(inputs, lengths)
    valid = (torch.arange(len(inputs))[:, None] < lengths)[:, :, None]
    weights = torch.linspace(-1, 1, outputs[:, 0].numel(), dtype=inputs.dtype).view_as(outputs[:, :1])
    loss = (outputs * weights * valid).sum()
    gradients = torch.autograd.grad(loss, [inputs, *layer.parameters()])
    return [outputs * valid, *gradients]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", PACKED)
def test_the_dense_way_equals_the_packed_way_forward_and_backward(
    cell: Cell, bidirectional: bool, dtype: torch.dtype
) -> None:
    layer = make_layer(cell, bidirectional, dtype)
    inputs = torch.randn(45, len(LENGTHS), 12, dtype=dtype)
    for dense, packed in zip(
        *(outputs_and_gradients(layer, path, inputs) for path in ("dense", "packed")), strict=True
    ):
        torch.testing.assert_close(dense, packed, rtol=1e-4 if dtype is torch.float32 else 1e-10, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", list(Cell))
def test_gradients_of_a_batch_are_the_sum_of_those_of_its_utterances(cell: Cell, bidirectional: bool) -> None:
    layer = make_layer(cell, bidirectional, torch.float64)
    inputs = torch.randn(45, len(LENGTHS), 12, dtype=torch.float64)
    outputs, into_inputs, *together = outputs_and_gradients(layer, "forward", inputs)
    summed = [torch.zeros_like(gradient) for gradient in together]
    for number, length in enumerate(LENGTHS):
        single = inputs[:, number : number + 1]
        alone, into_single, *gradients = outputs_and_gradients(layer, "forward", single, LENGTHS[number : number + 1])
        torch.testing.assert_close(outputs[:length, number], alone[:length, 0], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(into_inputs[:, number], into_single[:, 0], rtol=1e-10, atol=1e-12)
        summed = [total + gradient for total, gradient in zip(summed, gradients, strict=True)]
    for gradient, total in zip(together, summed, strict=True):
        torch.testing.assert_close(gradient, total, rtol=1e-10, atol=1e-12)


def test_the_light_gru_follows_its_equations_in_both_directions() -> None:
    layer = make_layer(Cell.ligru, bidirectional=True, dtype=torch.float64)
    inputs = torch.randn(6, 1, 12, dtype=torch.float64)
    outputs = layer(inputs, torch.tensor([6]))[:, 0]
    for suffix, frames, columns in (("l0", range(6), slice(0, 8)), ("l0_reverse", range(5, -1, -1), slice(8, 16))):
        values = {name: getattr(layer.recurrent, f"{name}_{suffix}") for name in ("weight_ih", "weight_hh")}
        scale, shift = (getattr(layer.recurrent, f"{name}_{suffix}").view(2, 8) for name in ("scale", "shift"))
        hidden = torch.zeros(8, dtype=torch.float64)
        for frame in frames:
            of_input = (values["weight_ih"] @ inputs[frame, 0]).view(2, 8)
            centred = of_input - of_input.mean(dim=1, keepdim=True)
            variance = centred.square().mean(dim=1, keepdim=True)
            of_input = centred / (variance + 1e-5).sqrt() * scale + shift
            of_state = (values["weight_hh"] @ hidden).view(2, 8)
            update = torch.sigmoid(of_input[0] + of_state[0])
            candidate = torch.relu(of_input[1] + of_state[1])
            hidden = update * hidden + (1 - update) * candidate
            torch.testing.assert_close(outputs[frame, columns], hidden)


@pytest.mark.parametrize("cell", list(Cell))
def test_a_layer_of_one_direction_goes_on_from_its_state(cell: Cell) -> None:
    layer = make_layer(cell, bidirectional=False)
    inputs = torch.randn(20, 2, 12)
    whole, state, parts = layer(inputs, torch.tensor([20, 20])), None, []
    for chunk in inputs.split([1, 7, 2, 10]):
        outputs, state = layer.stream(chunk, state)
        parts.append(outputs)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("cell", list(Cell))
def test_a_gpu_gives_what_a_cpu_gives(cell: Cell) -> None:
    allow_tf32(False)
    layer = make_layer(cell, bidirectional=True)
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
