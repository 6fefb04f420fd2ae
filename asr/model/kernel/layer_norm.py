"""LayerNorm of the gates of a light GRU, in one pass of the kernel forward and one backward."""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr.model.kernel.library import DTYPES, load


class RowsPointers(ctypes.Structure):
    """`Rows` of layer_norm.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "groups", "hidden", "threads")),
        *((name, ctypes.c_void_p) for name in ("inputs", "scale", "shift", "outputs", "means", "inverses")),
        *((name, ctypes.c_void_p) for name in ("d_outputs", "d_inputs", "d_scale", "d_shift")),
    ]


def can_normalize(inputs: Tensor, scale: Tensor) -> bool:
    """Whether the kernel can be used for them."""
    types = inputs.dtype in DTYPES and scale.dtype is torch.float32
    return types and inputs.device.type == "cpu" and load() is not None


def normalize(inputs: Tensor, scale: Tensor, shift: Tensor, hidden: int) -> Tensor:
    """LayerNorm over each group of units, scaled and shifted.

    Args:
        inputs: float32 or bfloat16 on a CPU, (..., groups * hidden); the outputs are alike.
        scale: float32 (groups * hidden,), as is the shift.
    """
    outputs: Tensor = _Normalize.apply(inputs, scale, shift, hidden)
    return outputs


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, scale: Tensor, shift: Tensor, hidden: int) -> Tensor:
        inputs, scale, shift = inputs.contiguous(), scale.contiguous(), shift.contiguous()
        outputs = torch.empty_like(inputs)
        means = scale.new_empty(inputs.numel() // hidden)
        inverses = torch.empty_like(means)
        tensors = {"inputs": inputs, "scale": scale, "shift": shift, "outputs": outputs}
        _run(hidden, tensors | {"means": means, "inverses": inverses}, backwards=False)
        ctx.hidden = hidden
        ctx.save_for_backward(inputs, scale, means, inverses)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, scale, means, inverses = ctx.saved_tensors
        d_inputs, d_scale, d_shift = torch.empty_like(inputs), torch.empty_like(scale), torch.empty_like(scale)
        tensors = {"inputs": inputs, "scale": scale, "means": means, "inverses": inverses}
        back = {"d_outputs": gradients[0].contiguous(), "d_inputs": d_inputs, "d_scale": d_scale, "d_shift": d_shift}
        _run(ctx.hidden, tensors | back, backwards=True)
        return d_inputs, d_scale, d_shift, None


def _run(hidden: int, tensors: dict[str, Tensor], backwards: bool) -> None:
    library, inputs, width = load(), tensors["inputs"], len(tensors["scale"])
    assert library is not None
    rows = RowsPointers(
        rows=inputs.numel() // width,
        groups=width // hidden,
        hidden=hidden,
        threads=torch.get_num_threads(),
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
    )
    library.layer_norm_run(ctypes.byref(rows), inputs.dtype is torch.bfloat16, backwards)
