"""Dropout that is fast on a CPU, and variational dropout, which drops the same features in all frames."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from asr.model.kernel.library import DTYPES, load

BITS = 16


class Dropout(nn.Dropout):
    """Like nn.Dropout, from the same seeded generator.

    On a CPU, nn.Dropout draws a random number for each activation, one after the other: 6 % of a training step. Here
    each number serves four activations, and only these numbers are kept for the backward pass. The dropped share is a
    multiple of 1 / 65536.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Drops activations in training."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        dropped = min(round(self.p * 2**BITS), 2**BITS - 1)
        numbers = torch.empty(-(-input.numel() * BITS // 64), dtype=torch.int64).random_(-(2**63), None)
        drawn = numbers.view(torch.int16)[: input.numel()].view(input.shape)
        output: Tensor = _Drop.apply(input, drawn, dropped)
        return output


class VariationalDropout(nn.Dropout):
    """Drops the same features in all frames of an utterance (Gal & Ghahramani, 2016), of (frames, batch, features)."""

    def forward(self, input: Tensor) -> Tensor:
        """Drops."""
        return input * functional.dropout(torch.ones_like(input[:1]), self.p, self.training)


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, drawn: Tensor, dropped: int) -> Tensor:
        ctx.save_for_backward(drawn)
        ctx.dropped = dropped
        return drop(input, drawn, dropped)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return drop(gradients[0], ctx.saved_tensors[0], ctx.dropped), None, None


def drop(input: Tensor, drawn: Tensor, dropped: int) -> Tensor:
    """Drops activations and scales the others so that the mean stays, by the kernel where there is one.

    Args:
        drawn: int16, of the shape of the input, drawn uniformly from all numbers.
        dropped: How many of the 65536 numbers, from the smallest, drop an activation.
    """
    least, scale = dropped - 2 ** (BITS - 1), 2**BITS / (2**BITS - dropped)
    library = load()
    if library is None or input.dtype not in DTYPES:
        factors: Tensor = (drawn >= least) * scale
        return (input * factors).to(input.dtype)
    input = input.contiguous()
    output = torch.empty_like(input)
    places = (tensor.data_ptr() for tensor in (input, drawn, output))
    bfloat16 = input.dtype is torch.bfloat16
    library.dropout_run(*places, input.numel(), least, scale, bfloat16, torch.get_num_threads())
    return output
