"""Large matrix products on a CPU, by oneDNN.

In float32 PyTorch asks MKL, which is half as fast on processors of AMD. In either type oneDNN generates code for every
new shape, which may take as long as the product itself; so the rows of batches are rounded up to few numbers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

ROWS = 128
"""What numbers of rows are rounded up to a multiple of."""


def missing_rows(rows: int) -> int:
    """How many to add to those of a batch; few stay as they are."""
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


def by_onednn(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """left @ right.T + bias, without a gradient of its own.

    Args:
        left: float32 (rows, inner) on a CPU.
        right: (columns, inner).
        bias: (columns,).
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # PyTorch gives it no types
        return functional.linear(left, right, bias)
    left, right = left.contiguous().to_mkldnn(), right.contiguous().to_mkldnn()
    return functional.linear(left, right, None if bias is None else bias.to_mkldnn()).to_dense()


def transposed_product(left: Tensor, right: Tensor) -> Tensor:
    """left.T @ right of (rows, m) and (rows, n) on a CPU, as gradients of weights are."""
    return by_onednn(left.T, right.T) if left.dtype is torch.float32 else left.T @ right


def linear(inputs: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` of float32 (..., inner) on a CPU."""
    outputs: Tensor = _Linear.apply(inputs, weights, bias)
    return outputs


class _Linear(torch.autograd.Function):
    """PyTorch's own backward pass of oneDNN's products wants tensors that are laid out for it."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weights)
        return by_onednn(inputs.flatten(0, -2), weights, bias).view(*inputs.shape[:-1], len(weights))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weights = ctx.saved_tensors
        gradient = gradients[0].flatten(0, -2)
        d_inputs = by_onednn(gradient, weights.T).view_as(inputs) if ctx.needs_input_grad[0] else None
        d_bias = gradient.sum(0) if ctx.needs_input_grad[2] else None
        return d_inputs, transposed_product(gradient, inputs.flatten(0, -2)), d_bias
