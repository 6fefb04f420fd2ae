"""Gradient norm and size of the update of each layer, measured in the steps that are logged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


def layers_of(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trainable parameters of an acoustic model by layer: subsampling, layer_1 and so on, head."""
    layers: dict[str, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            layers[_layer(name)].append(parameter)
    return dict(layers)


def _layer(name: str) -> str:
    part, *rest = name.split(".")
    if part in ("norms", "layers", "projections"):
        return f"layer_{int(rest[0]) + 1}"
    return part.removesuffix("_norm") if part != "intermediate_norm" else "intermediate_head"


class LayerWatch:
    """Measures one step: its gradients and its updates of the weights.

    It reads the device once, after the step, and copies the weights once: too much for every step, little for one in
    ten. The copy takes the memory that the activations of the backward pass had.

    Args:
        model: With its gradients, not yet clipped.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = layers_of(model)
        self._gradients = [
            _norm([parameter.grad for parameter in parameters if parameter.grad is not None])
            for parameters in self._layers.values()
        ]
        self._before = {name: _copies(parameters) for name, parameters in self._layers.items()}

    def metrics(self) -> dict[str, float]:
        """After the step: the gradient norm of each layer before clipping, and the norm of its update divided by that
        of its weights."""
        updates = [_update(parameters, self._before[name]) for name, parameters in self._layers.items()]
        weights = [_norm(before) for before in self._before.values()]
        table = torch.stack([torch.stack(row) for row in (self._gradients, updates, weights)]).double().tolist()
        by_layer = dict(zip(self._layers, zip(*table, strict=True), strict=True))
        return _named(by_layer)


def _named(by_layer: Mapping[str, Sequence[float]]) -> dict[str, float]:
    metrics = {f"train/gradient_norm_{layer}": gradient for layer, (gradient, _, _) in by_layer.items()}
    metrics |= {f"train/update_ratio_{layer}": change / weight for layer, (_, change, weight) in by_layer.items()}
    change, weight = (sum(values[place] ** 2 for values in by_layer.values()) ** 0.5 for place in (1, 2))
    return {"train/update_ratio": change / weight} | metrics


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    return get_total_norm(tensors)


@torch.no_grad()
def _copies(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


@torch.no_grad()
def _update(parameters: Sequence[nn.Parameter], before: Sequence[Tensor]) -> Tensor:
    return _norm(torch._foreach_sub([parameter.detach() for parameter in parameters], list(before)))
