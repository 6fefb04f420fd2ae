"""The recurrence of a layer in the kernel, over the frames of a padded batch without its padding."""

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from asr.model.kernel.library import DTYPES, load
from asr.model.kernel.product import missing_rows, transposed_product
from asr.settings.model import Cell

CELLS = {Cell.rnn: 0, Cell.lstm: 1, Cell.gru: 2, Cell.ligru: 3}
"""The numbers of the cells in recurrence.cpp."""
# The backward pass needs more than the activated gates: cells of an LSTM, reset products of a GRU.
KEEPS = (Cell.lstm, Cell.gru)


class LayerPointers(ctypes.Structure):
    """`Layer` of recurrence.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("frames", "batch", "directions", "hidden", "threads")),
        *((name, ctypes.c_void_p) for name in ("offsets", "order", "weights", "bias", "gates", "kept", "outputs")),
        *((name, ctypes.c_void_p) for name in ("d_outputs", "d_gates", "d_reset", "previous", "d_bias")),
        ("training", ctypes.c_int64),
    ]


def kernel_dtype(inputs: Tensor) -> torch.dtype | None:
    """The type in which the kernel would run a layer over inputs: that of autocast, else their own.

    Returns:
        float32 or bfloat16; None where there is no kernel for them.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else inputs.dtype
    library = load() if inputs.device.type == "cpu" and dtype in DTYPES else None
    if library is None or (dtype is torch.bfloat16 and not library.recurrence_has_bfloat16()):
        return None
    return dtype


@dataclass(frozen=True)
class PackedFrames:
    """The places of the frames of utterances: padded, and packed frame after frame, longer utterances first."""

    shape: tuple[int, int]
    """Of the padded batch: frames, utterances."""
    order: Tensor
    """The utterances by decreasing length, int64 (batch,)."""
    offsets: Tensor
    """The packed row at which each frame begins, and their number, int64 (frames + 1,)."""
    rows: Tensor
    """The row of the flattened padded batch that each packed row is, int64 (packed rows,)."""

    @classmethod
    def of(cls, lengths: Tensor, frames: int) -> "PackedFrames":
        """Of the frames of each utterance, int64 (batch,), and those of the padded batch."""
        lengths, order = lengths.cpu().sort(descending=True, stable=True)
        inside = torch.arange(frames)[:, None] < lengths
        rows = (torch.arange(frames)[:, None] * len(lengths) + order)[inside]
        offsets = functional.pad(inside.sum(1).cumsum(0), (1, 0))
        return cls((frames, len(lengths)), order, offsets, rows)

    def pack(self, padded: Tensor) -> Tensor:
        """(frames, batch, dim) to (packed rows, dim), and rows of zeros up to a rounded number."""
        packed: Tensor = _Pack.apply(padded, self.rows)
        return packed


class _Pack(torch.autograd.Function):
    """Selects rows, none of them twice, so that the backward pass is a copy too."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = padded.shape
        packed = padded.new_empty(len(rows) + missing_rows(len(rows)), padded.shape[2])
        torch.index_select(padded.flatten(0, 1), 0, rows, out=packed[: len(rows)])
        packed[len(rows) :] = 0
        return packed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (rows,) = gradients, ctx.saved_tensors
        padded = gradient.new_zeros(ctx.shape)
        padded.view(-1, padded.shape[2]).index_copy_(0, rows, gradient[: len(rows)])
        return padded, None


def recurrence(cell: Cell, gates: Tensor, weights: Tensor, bias: Tensor | None, frames: PackedFrames) -> Tensor:
    """Runs the recurrence of one layer, each direction from its own first frame.

    Args:
        gates: Products of the inputs for the gates, (packed rows and more, directions * gates * hidden), float32 or
            bfloat16. They are overwritten, so nothing else may read them.
            Gates are in the order of PyTorch; those of a light GRU are the update gate and the candidate.
        weights: Recurrent weights, float32 (directions, gates * hidden, hidden).
        bias: Of each gate, float32 (directions, gates * hidden); of a GRU (directions, 4 * hidden): those of both
            gates, that of the candidate within the reset product, then that outside. A light GRU has none.

    Returns:
        (frames, batch, directions * hidden) in the type of the gates, zero past the ends.
    """
    bias = None if bias is None else bias.float()
    outputs: Tensor = _Recurrence.apply(gates, weights.float(), bias, cell, frames)
    return outputs


class _Recurrence(torch.autograd.Function):
    """The gradients of the weights are products over all frames, in torch."""

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weights: Tensor, bias: Tensor | None, cell: Cell, frames: PackedFrames
    ) -> Tensor:
        training = any(ctx.needs_input_grad)
        directions, _, hidden = weights.shape
        gates, weights = gates.contiguous(), weights.contiguous()
        bias = None if bias is None else bias.contiguous()
        outputs = gates.new_zeros(*frames.shape, directions * hidden)
        kept = gates.new_empty(len(gates) if training and cell in KEEPS else 0, directions * hidden)
        tensors = {"weights": weights, "bias": bias, "gates": gates, "kept": kept, "outputs": outputs}
        _run(cell, frames, tensors, training=training)
        ctx.cell, ctx.frames = cell, frames
        ctx.save_for_backward(gates, weights, bias, kept, outputs)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cell, frames = ctx.cell, ctx.frames
        gates, weights, bias, kept, outputs = ctx.saved_tensors
        hidden = weights.shape[2]
        d_gates = torch.empty_like(gates)
        previous = gates.new_empty(len(gates), outputs.shape[2])
        d_reset = torch.empty_like(previous) if cell is Cell.gru else gates.new_empty(0)
        tensors = {"weights": weights, "bias": bias, "gates": gates, "kept": kept, "outputs": outputs}
        d_bias = None if bias is None else torch.zeros_like(bias)
        back = {"d_outputs": gradients[0].contiguous(), "d_gates": d_gates, "d_reset": d_reset, "previous": previous}
        _run(cell, frames, tensors | back | {"d_bias": d_bias}, backwards=True)
        for rows in (d_gates, d_reset, previous):
            rows[len(frames.rows) :] = 0
        d_weights = torch.empty_like(weights)
        for direction, d_weight in enumerate(d_weights):
            before = previous[:, direction * hidden :][:, :hidden]
            own = d_gates[:, direction * len(d_weight) :][:, : len(d_weight)]
            if cell is Cell.gru:
                d_weight[: 2 * hidden] = transposed_product(own[:, : 2 * hidden], before)
                reset = d_reset[:, direction * hidden :][:, :hidden]
                d_weight[2 * hidden :] = transposed_product(reset, before)
            else:
                d_weight.copy_(transposed_product(own, before))
        return d_gates, d_weights, d_bias, None, None


def _run(
    cell: Cell, frames: PackedFrames, tensors: dict[str, Tensor | None], training: bool = False, backwards: bool = False
) -> None:
    library, gates, weights = load(), tensors["gates"], tensors["weights"]
    assert library is not None and gates is not None and weights is not None
    pointers = {name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None}
    layer = LayerPointers(
        frames=frames.shape[0],
        batch=frames.shape[1],
        directions=len(weights),
        hidden=weights.shape[2],
        threads=torch.get_num_threads(),
        offsets=frames.offsets.data_ptr(),
        order=frames.order.data_ptr(),
        training=training,
        **pointers,
    )
    library.recurrence_run(ctypes.byref(layer), CELLS[cell], gates.dtype is torch.bfloat16, backwards)
