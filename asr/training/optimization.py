"""The optimizer, the learning rate as a function of progress, averaged weights, and what a step does to each layer."""

import copy
import inspect
import math
from collections import defaultdict
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import AdamW, Optimizer

from asr.settings.hardware import Precision
from asr.settings.optimizer import OptimizerConfig
from asr.settings.schedule import ScheduleConfig, ScheduleKind
from asr.training.hardware import Hardware


class EagerAdamW(AdamW):
    """AdamW outside torch.compile.

    PyTorch's own methods import torch._dynamo, a third of a training's start, to keep themselves out of compiled
    graphs. Nothing here is compiled, so these are the methods themselves.
    """

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    state_dict = inspect.unwrap(AdamW.state_dict)
    load_state_dict = inspect.unwrap(AdamW.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> AdamW:
    """AdamW with weight decay on matrices only."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return EagerAdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )


def learning_rate(peak: float, config: ScheduleConfig, progress: float) -> float:
    """The learning rate after a share of the training.

    It is a function of progress rather than of steps: the number of steps in an epoch may change with the drawn speeds.

    Args:
        peak: The highest learning rate.
        progress: The share of the planned training that is done, from 0 to 1.
    """
    start, end = peak * config.start_ratio, peak * config.end_ratio
    if progress < config.warmup:
        along = progress / config.warmup
        return start + (peak - start) * (_cosine(along) if config.kind is ScheduleKind.one_cycle else along)
    along = (progress - config.warmup) / (1 - config.warmup)
    return peak + (end - peak) * _cosine(along)


def _cosine(along: float) -> float:
    """From 0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * min(along, 1.0))) / 2


Model = TypeVar("Model", bound=nn.Module)


class AveragedModel(Generic[Model]):
    """An exponential moving average of a model's weights, used for evaluation (Polyak & Juditsky, 1992).

    Args:
        model: What is averaged.
        decay: Weight of the old average in each step; less in the first steps, so that the random start is forgotten.
            0 copies the weights.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        for layer in self.module.modules():
            if isinstance(layer, nn.RNNBase):
                layer.flatten_parameters()  # for cuDNN; the copy's weights lie apart
        self.decay = decay
        self._averages: list[Tensor] = list(self.module.parameters())
        self._weights = [parameter.detach() for parameter in model.parameters()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Adds the weights after a step (counted from 1) to the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)


class OptimizerStep:
    """From gradients to weights: loss scale, clipping, optimizer and weight average.

    In float16 the loss is multiplied by a scale so that small gradients do not become 0. The scale falls when gradients
    overflow and rises after many that do not (Micikevicius et al., "Mixed precision training", 2018). All ranks see the
    same sum of gradients, so their scales stay equal. Only in float16 does any part of it read the device.

    Args:
        clip_norm: Largest gradient norm; longer gradients are scaled down to it.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, averaged: AveragedModel[Any], clip_norm: float, hardware: Hardware
    ) -> None:
        self.model, self.optimizer, self.averaged, self.clip_norm = model, optimizer, averaged, clip_norm
        self.scaler = GradScaler(hardware.device.type, enabled=hardware.precision is Precision.fp16)

    def scale(self, loss: Tensor) -> Tensor:
        """The scaled loss, for the backward pass."""
        scaled: Tensor = self.scaler.scale(loss)
        return scaled

    def unscale(self) -> None:
        """Divides the gradients by the loss scale, once in a step."""
        self.scaler.unscale_(self.optimizer)

    def gradient_norm(self) -> Tensor:
        """The norm of all gradients together, (), on the device."""
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        return get_total_norm(gradients)

    def overflowed(self) -> bool:
        """Whether a gradient may be infinite only because of the loss scale, which then falls."""
        return self.scaler.is_enabled() and self.scaler.get_scale() > 1

    def step(self, gradient_norm: Tensor, number: int) -> None:
        """Clips the gradients, updates the weights and their average.

        Args:
            gradient_norm: Of the gradients as they are.
            number: Of the step, from 1.
        """
        clip_grads_with_norm_(self.model.parameters(), self.clip_norm, gradient_norm)
        self.scaler.step(self.optimizer)
        self.averaged.update(number)

    def finish(self) -> None:
        """Ends a step, whether it was taken or skipped: updates the loss scale and clears the gradients."""
        self.scaler.update()
        self.optimizer.zero_grad()

    def metrics(self) -> dict[str, float]:
        """The loss scale, where there is one."""
        return {"train/loss_scale": self.scaler.get_scale()} if self.scaler.is_enabled() else {}


def layers_of(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trainable parameters of an acoustic model by layer: subsampling, layer_1 and so on, head."""
    layers: dict[str, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part, *rest = name.split(".")
            if part in ("norms", "layers", "projections"):
                part = f"layer_{int(rest[0]) + 1}"
            elif part == "intermediate_norm":
                part = "intermediate_head"
            layers[part.removesuffix("_norm")].append(parameter)
    return dict(layers)


class LayerWatch:
    """Measures one step: its gradients and its updates of the weights.

    It reads the device once, after the step, and copies the weights once: too much for every step, little for one in
    ten. The copy takes the memory that the activations of the backward pass had.

    Args:
        model: With its gradients, not yet clipped.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = layers_of(model)
        self._names, self._layers = list(layers), list(layers.values())
        self._gradients = [
            get_total_norm([weight.grad for weight in layer if weight.grad is not None]) for layer in self._layers
        ]
        self._before = [[weight.detach().clone() for weight in layer] for layer in self._layers]

    def metrics(self) -> dict[str, float]:
        """After the step: the gradient norm of each layer before clipping, and the norm of its update divided by that
        of its weights."""
        updates = [
            get_total_norm(torch._foreach_sub([weight.detach() for weight in layer], before))
            for layer, before in zip(self._layers, self._before, strict=True)
        ]
        table = (self._gradients, updates, [get_total_norm(before) for before in self._before])
        gradients, changes, weights = torch.stack([torch.stack(row) for row in table]).double().tolist()
        change, weight = (sum(norm**2 for norm in norms) ** 0.5 for norms in (changes, weights))
        metrics = {"train/update_ratio": change / weight}
        metrics |= {f"train/gradient_norm_{name}": norm for name, norm in zip(self._names, gradients, strict=True)}
        for name, change, weight in zip(self._names, changes, weights, strict=True):
            metrics[f"train/update_ratio_{name}"] = change / weight
        return metrics
