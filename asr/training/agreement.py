"""What the ranks tell each other after each step: one exchange, and one reading of the device."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.training.distributed import Ranks
from asr.training.interruption import SIGNALS


@dataclass(frozen=True)
class Agreement:
    """What is known of a step on all ranks alike."""

    loss: float
    """Summed over the ranks."""
    finite: bool
    """Whether the loss and the gradients of all ranks are."""
    lost_labels: int
    """Labels of the utterances that could not be read."""
    due: bool
    """Whether a checkpoint is due on any rank."""
    failed: bool
    """Whether a checkpoint could not be written on any rank."""
    signal: int
    """The signal that any rank was sent; 0 for none."""
    norm: float
    """Length of the gradient, which is the same on all ranks, before clipping."""


def agree(
    ranks: Ranks, loss: Tensor, norm: Tensor, lost_labels: int, due: bool, failed: bool, signal: int
) -> Agreement:
    """Puts together what each rank knows of a step; called by all of them.

    Nothing before it waits for the device: what the host knows goes there, and one tensor comes back.

    Args:
        loss: This rank's part of it, float64 ().
        norm: Length of the summed gradient, ().
    """
    told = torch.tensor([lost_labels, due, failed, *(signal == number for number in SIGNALS)], dtype=torch.float64)
    broken = ~torch.isfinite(norm)
    told = torch.cat([loss.reshape(1), broken.double().reshape(1), told.to(loss.device, non_blocking=True)])
    summed = torch.cat([ranks.sum(told), norm.double().reshape(1)])
    total, not_finite, lost, any_due, any_failed, *heard, length = summed.tolist()
    # Of several the last, since a job that Slurm warned is to be requeued.
    signals = [int(number) for number, count in zip(SIGNALS, heard, strict=True) if count]
    return Agreement(
        loss=total,
        finite=math.isfinite(total) and not not_finite,
        lost_labels=int(lost),
        due=bool(any_due),
        failed=bool(any_failed),
        signal=signals[-1] if signals else 0,
        norm=length,
    )
