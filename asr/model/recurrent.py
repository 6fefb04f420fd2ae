"""Recurrent layers whose output does not depend on the padding.

Packed sequences keep PyTorch on a CPU from oneDNN's fused LSTM. The dense way runs each direction as a layer of its own
over the padded batch; the backward one reads every sequence reversed *within its own length*. Frames past the end then
come last in both directions, and no frame inside ever reads them. On CUDA, cuDNN takes packed sequences as they are.

Faster on a CPU is the kernel of `asr.model.kernel`, where it can be compiled; it knows no padding at all.
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
"""What a layer of one direction knows of the frames so far: of each tensor (1, batch, hidden)."""

MODULES: dict[Cell, Callable[..., nn.RNNBase | LightGRU]] = {
    Cell.rnn: nn.RNN, Cell.lstm: nn.LSTM, Cell.gru: nn.GRU, Cell.ligru: LightGRU
}  # fmt: skip


class RecurrentLayer(nn.Module):
    """One recurrent layer.

    Args:
        cell: The kind of cell.
        input_dim: Features that go in.
        hidden: Units of each direction. So many features come out, or twice as many if it is bidirectional, the forward
            direction's first.
        bidirectional: Whether a second direction reads the utterance from its end.
    """

    def __init__(self, cell: Cell, input_dim: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.cell, self.hidden, self.directions = cell, hidden, 1 + bidirectional
        self.recurrent = MODULES[cell](input_dim, hidden, bidirectional=bidirectional)

    @torch.no_grad()
    def initialize(self, orthogonal: bool, forget_bias: float) -> None:
        """Changes what PyTorch begins with.

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
            (frames, batch, directions * hidden); what stands past an utterance's end has no meaning.
        """
        if inputs.is_cuda and self.cell is not Cell.ligru:
            return self.packed(inputs, lengths)
        return self.dense(inputs, lengths) if kernel_dtype(inputs) is None else self.fused(inputs, lengths)

    def stream(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Goes on with the next frames, in a layer of one direction.

        Args:
            inputs: (frames, batch, input_dim), one frame at least.
            state: What the frames before left; None before the first.

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
        # Sorted here: PyTorch would wait for the device to copy the order.
        falling, order = lengths.cpu().sort(descending=True, stable=True)
        order = order.to(inputs.device, non_blocking=True)
        packed = pack_padded_sequence(inputs.index_select(1, order), falling)
        outputs, _ = pad_packed_sequence(self.recurrent(packed)[0], total_length=len(inputs))
        return outputs.index_select(1, order.argsort())

    def fused(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """All directions by the kernel for CPUs, over the frames that utterances have."""
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
        """What the input (frames, batch, input_dim) gives to the gates of all directions, in one product, without the
        biases: (frames, batch, directions * gates * hidden), the directions one after the other, each with its gates in
        the order of PyTorch."""
        weights = self.all_directions("weight_ih").flatten(0, 1)
        product = linear if kernel_dtype(inputs) is torch.float32 else functional.linear
        if self.cell is not Cell.ligru:
            return product(inputs, weights)
        scale, shift = (self.all_directions(part).flatten() for part in ("scale", "shift"))
        return normalized_gates(product(inputs, weights), scale, shift, self.hidden)

    def biases(self) -> Tensor:
        """Those of input and state together, (directions, gates * hidden); of a GRU (directions, 4 * hidden), since its
        reset gate scales that of the candidate's state alone."""
        of_input, of_state = self.all_directions("bias_ih"), self.all_directions("bias_hh")
        # The product keeps the two gradients apart: those of a sum are views of one tensor, to which accumulation over
        # several shares would add twice.
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
        """One direction, by PyTorch's own kernels, in the order in which its frames are given."""
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
        """The state before the first frame, of the directions, the batch and the type of a (directions, batch, ...)."""
        zeros = like.new_zeros(*like.shape[:2], self.hidden)
        return (zeros, zeros) if self.cell is Cell.lstm else (zeros,)


def inside(lengths: Tensor, frames: Tensor) -> Tensor:
    """Which frames of a padded (frames, batch, ...) lie before the end of their utterance, bool (frames, batch, 1)."""
    time = torch.arange(len(frames), device=frames.device).unsqueeze(1)
    return (time < lengths.to(frames.device, non_blocking=True)).unsqueeze(2)


def reversal(lengths: Tensor, frames: int) -> Tensor:
    """The permutation of all (frame, utterance) rows that reverses each utterance and leaves its padding where it is.

    It is its own inverse: row numbers of the flattened (frames * batch) rows, int64 (frames * batch,).

    Args:
        lengths: Frames of each utterance, int64 (batch,).
        frames: Frames of the padded batch.
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
