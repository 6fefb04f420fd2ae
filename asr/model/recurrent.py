"""Recurrent layers whose output does not depend on the padding.

With packed sequences PyTorch does not use oneDNN's fused LSTM on a CPU. The dense way runs each direction as a layer of
its own over the padded batch; the backward one reads each sequence reversed *within its own length*. Frames past the
end then come last in both directions, and no frame before the end depends on them. On CUDA, cuDNN takes packed
sequences.

The kernel of `asr.model.kernel` is faster on a CPU, where it can be compiled; it processes no padding.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.model.kernel.product import linear
from asr.model.kernel.recurrence import PackedFrames, kernel_dtype, recurrence
from asr.model.light_gru import LightGRU, light_gru, normalized_gates
from asr.settings.model import Cell

State = tuple[Tensor, ...]
"""The state of a unidirectional layer after some frames; each tensor is (1, batch, hidden)."""

MODULES: dict[Cell, Callable[..., nn.RNNBase | LightGRU]] = {
    Cell.rnn: nn.RNN, Cell.lstm: nn.LSTM, Cell.gru: nn.GRU, Cell.ligru: LightGRU
}  # fmt: skip


class RecurrentLayer(nn.Module):
    """One recurrent layer.

    Args:
        cell: The kind of cell.
        input_dim: Input features.
        hidden: Units of each direction, which are the output features; those of the forward direction come first.
        bidirectional: Whether a second direction reads the utterance from its end.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.cell, self.hidden, self.directions = cell, hidden, 1 + bidirectional
        self.recurrent = MODULES[cell](input_dim, hidden, bidirectional=bidirectional)

    @torch.no_grad()
    def initialize(self, orthogonal: bool, forget_bias: float) -> None:
        """Changes PyTorch's initialization.

        Args:
            orthogonal: Draw the recurrent weights of each gate as an orthogonal matrix (Saxe et al., 2014).
            forget_bias: Added to the bias of an LSTM's forget gate.
        """
        for name, parameter in self.recurrent.named_parameters():
            if orthogonal and name.startswith("weight_hh"):
                for gate in parameter.view(-1, self.hidden, self.hidden):
                    nn.init.orthogonal_(gate)
            if self.cell is Cell.lstm and name.startswith("bias_ih"):
                parameter[self.hidden : 2 * self.hidden] += forget_bias  # gates: input, forget, cell, output

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Runs over whole utterances, (frames, batch, input_dim) with the frames of each, int64 (batch,).

        Returns:
            (frames, batch, directions * hidden); values past an utterance's end have no meaning.
        """
        if inputs.is_cuda and self.cell is not Cell.ligru:
            return self.packed(inputs, lengths)
        return self.dense(inputs, lengths) if kernel_dtype(inputs) is None else self.fused(inputs, lengths)

    def stream(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Processes the next frames, in a unidirectional layer.

        Args:
            inputs: (frames, batch, input_dim), at least one frame.
            state: The one after the previous frames; None before the first.

        Returns:
            (frames, batch, hidden) and the state after them.
        """
        if self.cell is not Cell.ligru:
            return self._direction(inputs, "l0", state)
        gates = self.gates(inputs).unsqueeze(1)
        outputs, last = light_gru(gates, self.all_directions("weight_hh"), *(state or self._start(gates[0])))
        return outputs.squeeze(1), (last,)

    def packed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """All directions over a packed sequence."""
        # Sorted here: PyTorch would wait for the device before it copies the order.
        falling, order = lengths.cpu().sort(descending=True, stable=True)
        order = order.to(inputs.device, non_blocking=True)
        packed = pack_padded_sequence(inputs.index_select(1, order), falling)
        outputs, _ = pad_packed_sequence(self.recurrent(packed)[0], total_length=len(inputs))
        return outputs.index_select(1, order.argsort())

    def fused(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """All directions by the kernel for CPUs, without padding."""
        frames = PackedFrames.of(lengths, len(inputs))
        dtype = kernel_dtype(inputs)
        gates = self.gates(frames.pack(inputs.to(dtype)).unsqueeze(1)).squeeze(1)
        bias = None if self.cell is Cell.ligru else self.biases()
        return recurrence(self.cell, gates.to(dtype), self.all_directions("weight_hh"), bias, frames)

    def dense(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """All directions over the padded batch, the backward one within each utterance's own length."""
        if self.cell is Cell.ligru:
            return self._light(inputs, lengths)
        forward, _ = self._direction(inputs, "l0", None)
        if self.directions == 1:
            return forward
        order = reversal(lengths.to(inputs.device), len(inputs))
        backward, _ = self._direction(permute_frames(inputs, order), "l0_reverse", None)
        return torch.cat([forward, permute_frames(backward, order)], dim=2)

    def gates(self, inputs: Tensor) -> Tensor:
        """The products of the input, (frames, batch, input_dim), for the gates of all directions, without the biases.

        Returns:
            (frames, batch, directions * gates * hidden), one direction after the other, each with its gates in
            PyTorch's order.
        """
        weights = self.all_directions("weight_ih").flatten(0, 1)
        product = linear if kernel_dtype(inputs) is torch.float32 else functional.linear
        if self.cell is not Cell.ligru:
            return product(inputs, weights)
        scale, shift = (self.all_directions(part).flatten() for part in ("scale", "shift"))
        return normalized_gates(product(inputs, weights), scale, shift, self.hidden)

    def biases(self) -> Tensor:
        """The sums of the biases of input and state, (directions, gates * hidden); of a GRU (directions, 4 * hidden),
        since its reset gate scales only the state's bias of the candidate."""
        of_input, of_state = self.all_directions("bias_ih"), self.all_directions("bias_hh")
        # The product keeps the two gradients apart: those of a sum are views of one tensor, to which accumulation over
        # several micro-batches would add twice.
        both = of_input + 1 * of_state
        if self.cell is not Cell.gru:
            return both
        candidate = slice(2 * self.hidden, None)
        return torch.cat((both[:, : 2 * self.hidden], of_state[:, candidate], of_input[:, candidate]), dim=1)

    def all_directions(self, part: str) -> Tensor:
        """A parameter of every direction, such as weight_hh, (directions, gates * hidden, ...)."""
        suffixes = ("l0", "l0_reverse")[: self.directions]
        return torch.stack([getattr(self.recurrent, f"{part}_{suffix}") for suffix in suffixes])

    def _light(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        # (frames, batch, directions * 2 * hidden) -> a (frames, batch, 2 * hidden) for each direction
        gates = list(self.gates(inputs).chunk(self.directions, dim=2))
        order = reversal(lengths.to(inputs.device), len(inputs))
        gates[1:] = [permute_frames(backward, order) for backward in gates[1:]]
        stacked = torch.stack(gates, dim=1)
        states, _ = light_gru(stacked, self.all_directions("weight_hh"), *self._start(stacked[0]))
        forward, *backward = states.unbind(1)
        return torch.cat([forward, *(permute_frames(states, order) for states in backward)], dim=2)

    def _direction(self, inputs: Tensor, suffix: str, state: State | None) -> tuple[Tensor, State]:
        """One direction, by PyTorch's own kernels, in the order of the given frames."""
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.recurrent, f"{part}_{suffix}") for part in parts]
        state = state or self._start(inputs[:1])
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        options: tuple[Any, ...] = (True, 1, 0.0, self.training, False, False)
        match self.recurrent:
            case nn.LSTM():
                outputs, *last = torch.lstm(inputs, state, weights, *options)
            case nn.GRU():
                outputs, *last = torch.gru(inputs, state[0], weights, *options)
            case _:
                outputs, *last = torch.rnn_tanh(inputs, state[0], weights, *options)
        return outputs, tuple(last)

    def _start(self, like: Tensor) -> State:
        """The state before the first frame, with the directions, batch and type of a (directions, batch, ...)."""
        zeros = like.new_zeros(*like.shape[:2], self.hidden)
        return (zeros, zeros) if self.cell is Cell.lstm else (zeros,)


def inside(lengths: Tensor, frames: Tensor) -> Tensor:
    """Which frames of a padded (frames, batch, ...) are before the end of their utterance, bool (frames, batch, 1)."""
    time = torch.arange(len(frames), device=frames.device).unsqueeze(1)
    return (time < lengths.to(frames.device, non_blocking=True)).unsqueeze(2)


def reversal(lengths: Tensor, frames: int) -> Tensor:
    """The permutation of all (frame, utterance) rows that reverses each utterance and leaves its padding in place.

    It is its own inverse: row numbers of the flattened (frames * batch) rows, int64 (frames * batch,).

    Args:
        lengths: Frames of each utterance, int64 (batch,).
        frames: Frames of the padded batch.
    """
    time = torch.arange(frames, device=lengths.device).unsqueeze(1)
    source = torch.where(time < lengths, lengths - 1 - time, time)
    return (source * len(lengths) + torch.arange(len(lengths), device=lengths.device)).flatten()


def permute_frames(inputs: Tensor, order: Tensor) -> Tensor:
    """Permutes the rows of (frames, batch, dim) by an order that is its own inverse."""
    permuted: Tensor = _Permute.apply(inputs, order)
    return permuted


class _Permute(torch.autograd.Function):
    """A copy of whole rows forward and backward; the backward pass of a general gather would add to zeros."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return inputs.flatten(0, 1).index_select(0, order).view_as(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (order,) = gradients, ctx.saved_tensors
        return gradient.flatten(0, 1).index_select(0, order).view_as(gradient), None
