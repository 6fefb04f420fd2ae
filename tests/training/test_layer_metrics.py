"""Gradient norms and sizes of updates by layer."""

import torch

from asr.model.folder import build_model
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe
from asr.training.optimization import LayerWatch, layers_of


def model(*overrides: str) -> torch.nn.Module:
    torch.manual_seed(1)
    return build_model(compose(find_recipe("yesno"), ["model.hidden=8", "model.channels=4", *overrides]), 7)


def test_every_parameter_belongs_to_one_layer() -> None:
    whole = model("model.layers=3", "model.projection=6", "model.intermediate_layer=1")
    layers = layers_of(whole)
    assert list(layers) == ["subsampling", "layer_1", "layer_2", "layer_3", "head", "intermediate_head"]
    members = [id(parameter) for parameters in layers.values() for parameter in parameters]
    assert sorted(members) == sorted(map(id, whole.parameters()))
    assert len(layers["layer_1"]) == len(layers["layer_3"]) > 8


def test_norms_are_those_before_clipping_and_updates_those_that_were_made() -> None:
    whole = model()
    for parameter in whole.parameters():
        parameter.grad = torch.randn_like(parameter)
    layers = layers_of(whole)
    expected = {name: norm([p.grad for p in parameters]) for name, parameters in layers.items()}  # type: ignore[misc]
    before = {name: [p.detach().clone() for p in parameters] for name, parameters in layers.items()}
    watch = LayerWatch(whole)
    torch.nn.utils.clip_grad_norm_(whole.parameters(), 0.1)
    torch.optim.AdamW(whole.parameters(), lr=0.01).step()
    metrics = watch.metrics()
    everything = {"change": 0.0, "weight": 0.0}
    for name, parameters in layers.items():
        change = norm([p.detach() - b for p, b in zip(parameters, before[name], strict=True)])
        weight = norm(before[name])
        everything = {"change": everything["change"] + change**2, "weight": everything["weight"] + weight**2}
        torch.testing.assert_close(metrics[f"train/gradient_norm_{name}"], expected[name], rtol=1e-5, atol=0)
        torch.testing.assert_close(metrics[f"train/update_ratio_{name}"], change / weight, rtol=1e-5, atol=0)
    overall = (everything["change"] / everything["weight"]) ** 0.5
    torch.testing.assert_close(metrics["train/update_ratio"], overall, rtol=1e-5, atol=0)
    assert len(metrics) == 2 * len(layers) + 1


def norm(tensors: list[torch.Tensor]) -> float:
    return float(torch.cat([tensor.flatten().double() for tensor in tensors]).norm())
