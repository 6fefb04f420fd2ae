"""Options of the acoustic model: cells of the layers, first weights, dropout, projection and the second CTC head."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from asr.common.errors import ConfigError
from asr.model.acoustic import AcousticModel, cells_of_layers
from asr.model.dropout import VariationalDropout
from asr.model.folder import build_model
from asr.settings.compose import compose
from asr.settings.hardware import Precision
from asr.settings.recipe import RECIPES, Recipe
from asr.training.acoustic_task import Objective
from asr.training.hardware import Hardware
from tests.helpers.models import SMALL

AN4 = Recipe(RECIPES / "an4")
LENGTHS = torch.tensor([60, 44])


def build(*overrides: str) -> AcousticModel:
    torch.manual_seed(0)
    return build_model(compose(AN4, [*SMALL, *overrides]), tokens=12)


def features() -> Tensor:
    return torch.randn(2, 60, 80, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("overrides", "cells"),
    [
        (["model=ligru"], "ligru ligru ligru"),
        (["model=hybrid"], "lstm lstm gru"),
        (["model=hybrid", "model.layers=2"], "lstm gru"),
        (["model=hybrid", "model.layers=5"], "lstm lstm lstm gru gru"),
        (["model=hybrid_reverse", "model.layers=4"], "gru gru lstm lstm"),
        (["model=hybrid_alternating", "model.layers=5"], "lstm gru lstm gru lstm"),
        (["model.cells=[rnn,lstm,gru]"], "rnn lstm gru"),
    ],
)
def test_cells_spread_over_the_layers(overrides: Sequence[str], cells: str) -> None:
    assert [cell.name for cell in cells_of_layers(compose(AN4, overrides).model)] == cells.split()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["model=hybrid", "model.layers=1"],
            "model.cells has 2 cells (lstm, gru) for model.layers=1; give one for each layer, or fewer, which "
            "model.cell_order spreads.",
        ),
        (["model.lookahead=3"], "model.lookahead=3 has no use in a bidirectional model"),
        (["model.intermediate_layer=3"], "model.intermediate_layer=3 must lie below the top of model.layers=3 layers"),
    ],
)
def test_settings_that_do_not_fit_are_named(overrides: Sequence[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        build(*overrides)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "ligru"])
def test_recurrent_weights_of_each_gate_begin_orthogonal(model: str) -> None:
    model_of_gates = build(f"model={model}", "model.orthogonal=true")
    weights = [weight for name, weight in model_of_gates.named_parameters() if ".weight_hh" in name]
    assert len(weights) == 6
    for weight in weights:
        for gate in weight.split(24):
            torch.testing.assert_close(gate @ gate.T, torch.eye(24), rtol=0, atol=1e-5)


def test_the_forget_bias_is_added_to_the_forget_gates_of_lstms_alone() -> None:
    plain, biased = (dict(build("model=hybrid", f"model.forget_bias={bias}").state_dict()) for bias in (0, 1.5))
    changed = {name: biased[name] - plain[name] for name in plain if "bias" in name}
    changed = {name: difference for name, difference in changed.items() if difference.any()}
    suffixes = ("l0", "l0_reverse")
    assert sorted(changed) == [f"layers.{layer}.recurrent.bias_ih_{suffix}" for layer in (0, 1) for suffix in suffixes]
    for difference in changed.values():  # gates: input, forget, cell, output
        torch.testing.assert_close(difference.view(4, 24).mean(dim=1), torch.tensor([0, 1.5, 0, 0]))


def test_variational_dropout_drops_the_same_features_in_every_frame_and_others_in_every_utterance() -> None:
    dropout = VariationalDropout(0.4)
    torch.manual_seed(3)
    dropped = dropout(torch.ones(7, 50, 40))
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 1 / 0.6])
    assert 0.3 < (dropped[0] == 0).float().mean() < 0.5
    assert not torch.equal(dropped[0, 0], dropped[0, 1])
    torch.manual_seed(3)
    assert torch.equal(dropout(torch.ones(7, 50, 40)), dropped)
    assert torch.equal(dropout.eval()(torch.ones(7, 50, 40)), torch.ones(7, 50, 40))


@pytest.mark.parametrize("variational", ["true", "false"])
def test_dropout_is_a_function_of_the_seed_and_off_in_evaluation(variational: str) -> None:
    model = build(f"model.variational_dropout={variational}")
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(model(features(), LENGTHS)[0])
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(*(model.eval()(features(), LENGTHS)[0] for _ in range(2)))


def test_a_projection_narrows_what_goes_from_layer_to_layer() -> None:
    model = build("model.projection=10")
    widths = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    assert widths["layers.1.recurrent.weight_ih_l0"] == (4 * 24, 10)
    assert widths["projections.1.weight"] == (10, 2 * 24)
    assert widths["head.weight"] == (12, 10)


def test_a_residual_layer_that_gives_nothing_passes_its_input_on() -> None:
    model = build("model.residual=true", "model.projection=10").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("projections"):
                parameter.zero_()
    hidden, _ = model.subsampling(features(), LENGTHS)
    expected = model.head(model.head_norm(hidden)).log_softmax(dim=2)
    torch.testing.assert_close(model(features(), LENGTHS)[0], expected)


def losses(model: AcousticModel, **training: Any) -> Tensor:
    config = compose(AN4, [f"training.{key}={value}" for key, value in training.items()]).training
    objective = Objective(model, config, Hardware(torch.device("cpu"), Precision.fp32))
    return objective(features(), LENGTHS, torch.tensor([1, 2, 3, 4, 5]), torch.tensor([3, 2]))


def test_the_intermediate_head_reads_its_layer_and_has_its_share_of_the_loss() -> None:
    model = build("model.intermediate_layer=2").eval()
    (last, middle), frames = model.all_heads(features(), LENGTHS)
    heads = [
        functional.ctc_loss(log_probs, torch.tensor([1, 2, 3, 4, 5]), frames, torch.tensor([3, 2]), reduction="sum")
        for log_probs in (last, middle)
    ]
    loss = losses(model, intermediate_weight=0.25)
    torch.testing.assert_close(loss, (0.75 * heads[0] + 0.25 * heads[1]).double(), rtol=1e-5, atol=0)

    (into_middle,) = torch.autograd.grad(middle.sum(), model.intermediate_head.weight, retain_graph=True)
    assert into_middle.abs().max() > 0
    reached = {
        name.split(".")[1]
        for name, parameter in model.named_parameters()
        if name.startswith("layers.")
        and torch.autograd.grad(middle[0, 0, 0], parameter, retain_graph=True, allow_unused=True)[0] is not None
    }
    assert reached == {"0", "1"}


def test_evaluation_does_not_compute_the_intermediate_head() -> None:
    with_head, without = build("model.intermediate_layer=2").eval(), build().eval()
    without.load_state_dict({name: value for name, value in with_head.state_dict().items() if "interm" not in name})
    with_head.intermediate_head.register_forward_hook(lambda *_: pytest.fail("the intermediate head was computed"))
    assert torch.equal(with_head(features(), LENGTHS)[0], without(features(), LENGTHS)[0])
