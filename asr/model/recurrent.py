"""Bidirectional recurrent layers whose output does not depend on the padding.

Packed sequences keep PyTorch on a CPU from oneDNN's fused LSTM. The dense way runs each direction as a layer of its own
over the padded batch; the backward one reads every sequence reversed *within its own length*. Frames past the end then
come last in both directions, and no frame inside ever reads them. On CUDA, cuDNN takes packed sequences as they are.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.model.config import Cell

MODULES: dict[Cell, Callable[..., nn.RNNBase]] = {Cell.rnn: nn.RNN, Cell.lstm: nn.LSTM, Cell.gru: nn.GRU}


class BidirectionalLayer(nn.Module):
    """One bidirectional recurrent layer.

    Args:
        cell: The kind of cell.
        input_dim: Features that go in.
        hidden: Units of each direction; twice as many features come out, the forward direction's first.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden: int) -> None:
        super().__init__()
        self.recurrent = MODULES[cell](input_dim, hidden, bidirectional=True)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Runs both directions.

        Args:
            inputs: (frames, batch, input_dim).
            lengths: Frames of each utterance, int64 (batch,).

        Returns:
            (frames, batch, 2 * hidden); what stands past an utterance's end has no meaning.
        """
        return self.packed(inputs, lengths) if inputs.is_cuda else self.dense(inputs, lengths)

    def dense(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Both directions over the padded batch, the backward one within each utterance's own length."""
        order = reversal(lengths.to(inputs.device), len(inputs))
        forward = self._direction(inputs, "l0")
        backward = self._direction(permute_frames(inputs, order), "l0_reverse")
        return torch.cat([forward, permute_frames(backward, order)], dim=2)

    def packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Both directions over a packed sequence."""
        packed = pack_padded_sequence(inputs, lengths.cpu(), enforce_sorted=False)
        return pad_packed_sequence(self.recurrent(packed)[0], total_length=len(inputs))[0]

    def _direction(self, inputs: Tensor, suffix: str) -> Tensor:
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.recurrent, f"{part}_{suffix}") for part in parts]
        state = inputs.new_zeros(1, inputs.shape[1], self.recurrent.hidden_size)
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        options: tuple[Any, ...] = (True, 1, 0.0, self.training, False, False)
        match self.recurrent:
            case nn.LSTM():
                return torch.lstm(inputs, (state, state), weights, *options)[0]
            case nn.GRU():
                return torch.gru(inputs, state, weights, *options)[0]
            case _:
                return torch.rnn_tanh(inputs, state, weights, *options)[0]


def reversal(lengths: Tensor, frames: int) -> Tensor:
    """The permutation of all (frame, utterance) rows that reverses each utterance and leaves its padding where it is.

    It is its own inverse.

    Args:
        lengths: Frames of each utterance, int64 (batch,).
        frames: Frames of the padded batch.

    Returns:
        Row numbers of the flattened (frames * batch) rows, int64 (frames * batch,).
    """
    time = torch.arange(frames, device=lengths.device).unsqueeze(1)
    source = torch.where(time < lengths, lengths - 1 - time, time)
    return (source * len(lengths) + torch.arange(len(lengths), device=lengths.device)).flatten()


def permute_frames(inputs: Tensor, order: Tensor) -> Tensor:
    """Takes the rows of (frames, batch, dim) in an order that is its own inverse."""
    permuted: Tensor = _Permute.apply(inputs, order)
    return permuted


class _Permute(torch.autograd.Function):
    """A copy of whole rows both ways; the general gather would add into zeros on the way back."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return inputs.flatten(0, 1).index_select(0, order).view_as(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (order,) = gradients, ctx.saved_tensors
        return gradient.flatten(0, 1).index_select(0, order).view_as(gradient), None
