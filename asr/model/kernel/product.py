"""Large matrix products on a CPU, by the fastest library.

In float32 PyTorch uses Intel's MKL, which on some AMD processors (Zen 5) is half as fast as oneDNN. oneDNN generates
code for each new shape, which may take as long as the product itself, so the rows of batches are rounded up to few
numbers.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from asr.model.kernel.library import processor_features

ROWS = 128
"""Numbers of rows are rounded up to a multiple of this."""


def missing_rows(rows: int) -> int:
    """How many rows to add to those of a batch; small numbers stay as they are."""
    return 0 if rows < ROWS else -rows % ROWS


class RoundedLinear(nn.Linear):
    """`nn.Linear` of (..., inner) whose product on a CPU has a rounded number of rows."""

    def forward(self, input: Tensor) -> Tensor:
        """As its base."""
        rows = input.shape[:-1].numel()
        missing = missing_rows(rows) if input.device.type == "cpu" else 0
        if not missing:
            return super().forward(input)
        padded = functional.pad(input.flatten(0, -2), (0, 0, 0, missing))
        return super().forward(padded)[:rows].view(*input.shape[:-1], self.out_features)


@functools.cache
def onednn_is_quicker() -> bool:
    """Whether float32 products are faster with oneDNN than with PyTorch's choice: not with MKL on an Intel CPU.

    By the vendor, not by a measurement, which might have another result after a training is resumed.
    """
    # PyTorch gives the question no type.
    if torch.backends.mkl.is_available() and "GenuineIntel" in processor_features():  # type: ignore[no-untyped-call]
        return False
    return has_onednn()


def has_onednn() -> bool:
    """Whether PyTorch has oneDNN and these operators, which are not part of its public interface."""
    operators = ((torch.ops.mkldnn, "_linear_pointwise"), (torch.ops.aten, "mkldnn_linear_backward_weights"))
    # PyTorch gives the question no type.
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and all(hasattr(*operator) for operator in operators)


def product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right.T, without a gradient of its own.

    Args:
        left: float32 (rows, inner) on a CPU.
        right: (columns, inner), contiguous or its transpose is: oneDNN takes both layouts.
    """
    if not onednn_is_quicker():
        return left @ right.T
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return outputs


def transposed_product(left: Tensor, right: Tensor) -> Tensor:
    """left.T @ right of (rows, m) and (rows, n) on a CPU, as gradients of weights are."""
    if left.dtype is not torch.float32 or not onednn_is_quicker():
        return left.T @ right
    weights = left.new_empty(left.shape[1], right.shape[1])  # only their shape is read
    backward = torch.ops.aten.mkldnn_linear_backward_weights
    gradient: Tensor = backward(left.to_mkldnn(), right.to_mkldnn(), weights, False)[0]
    return gradient


def linear(inputs: Tensor, weights: Tensor) -> Tensor:
    """`torch.nn.functional.linear` of float32 (..., inner) on a CPU."""
    outputs: Tensor = _Linear.apply(inputs, weights)
    return outputs


class _Linear(torch.autograd.Function):
    """PyTorch's own backward pass of oneDNN's products needs tensors in oneDNN's layout."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weights)
        return product(inputs.flatten(0, -2), weights).view(*inputs.shape[:-1], len(weights))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weights = ctx.saved_tensors
        gradient = gradients[0].flatten(0, -2)
        d_inputs = product(gradient, weights.T).view_as(inputs) if ctx.needs_input_grad[0] else None
        return d_inputs, transposed_product(gradient, inputs.flatten(0, -2))
