"""From the gradients of a step to new weights: loss scale, clipping, optimizer and average."""

from typing import Any

from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from asr.training.config import Precision
from asr.training.hardware import Hardware
from asr.training.optimization import AveragedModel


class Update:
    """What ends a step. No part of it reads the device, but where float16 overflows.

    In float16 the loss is multiplied by a scale, lest small gradients become 0, which falls when gradients overflow and
    rises after many that do not (Micikevicius et al., "Mixed precision training", 2018). Ranks see the same sum of
    gradients, so their scales stay equal.

    Args:
        clip_norm: Longest gradient; longer ones are shortened to it.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        averaged: AveragedModel[Any],
        clip_norm: float,
        hardware: Hardware,
    ) -> None:
        self.model, self.optimizer, self.averaged, self.clip_norm = model, optimizer, averaged, clip_norm
        self.scaler = GradScaler(hardware.device.type, enabled=hardware.precision is Precision.fp16)

    def scale(self, loss: Tensor) -> Tensor:
        """What to differentiate in place of a loss."""
        scaled: Tensor = self.scaler.scale(loss)
        return scaled

    def unscale(self) -> None:
        """Takes the scale out of the gradients, once in a step."""
        self.scaler.unscale_(self.optimizer)

    def norm(self) -> Tensor:
        """Length of the gradient, (), on the device."""
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        return get_total_norm(gradients)

    def overflowed(self) -> bool:
        """Whether a gradient that is not finite may be so by the loss scale alone, which then falls."""
        return self.scaler.is_enabled() and self.scaler.get_scale() > 1

    def take(self, norm: Tensor, step: int) -> None:
        """Clips the gradients, changes the weights and takes them into the average.

        Args:
            norm: Of the gradients.
            step: Counted from 1.
        """
        clip_grads_with_norm_(self.model.parameters(), self.clip_norm, norm)
        self.scaler.step(self.optimizer)
        self.averaged.update(step)

    def end(self) -> None:
        """Makes ready for the next step, whether this one was taken or passed over."""
        self.scaler.update()
        self.optimizer.zero_grad()

    def metrics(self) -> dict[str, float]:
        """The loss scale, where there is one."""
        return {"train/loss_scale": self.scaler.get_scale()} if self.scaler.is_enabled() else {}
