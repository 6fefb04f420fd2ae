"""One, two and three ranks are the same training."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import gradients
from tests.helpers.programs import run_ranks
from tests.helpers.trainings import SHORT_BATCHES, last_checkpoint, metrics, prepare_tones, run_folder, train

OVERRIDES = ["training.epochs=4", "model.dropout=0", "hardware.workers=0", SHORT_BATCHES]


def trained(folder: Path, ranks: int) -> dict[str, Any]:
    """The weights after a training in float64 of at least 20 steps."""
    prepare_tones(folder / "data")
    assert train("yesno", folder, [*OVERRIDES, "hardware.precision=fp64"], ranks) == 0
    state = last_checkpoint(run_folder(folder, "yesno"))
    assert state["progression"]["step"] >= 20
    weights: dict[str, Any] = state["model"]
    return weights


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The weights that one process trains."""
    return trained(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_after_20_steps_in_float64_the_weights_are_the_same(ranks: int, tmp_path: Path, alone: dict[str, Any]) -> None:
    together = trained(tmp_path, ranks)
    for name, weights in alone.items():
        assert (weights - together[name]).abs().max() < 1e-10, name


def test_ranks_and_accumulation_change_no_gradient_of_the_first_step_in_float32(tmp_path: Path) -> None:
    prepare_tones(tmp_path / "data")
    found = []
    for ranks, seconds in ((1, 600), (1, 3), (2, 600), (3, 600)):
        name = f"{ranks}-{seconds}"
        settings = ["hardware.precision=fp32", "debug=one_batch", "model.intermediate_layer=1"]
        settings += [f"batching.max_device_seconds={seconds}", f"paths.runs={tmp_path / name}"]
        file = tmp_path / f"{name}.pt"
        assert train("yesno", tmp_path, [*OVERRIDES, *settings], ranks, GRADIENTS=str(file)) == 0
        found.append(torch.load(file, weights_only=True))
    for others in found[1:]:
        for whole, parts in zip(found[0], others, strict=True):
            assert (whole - parts).norm() <= 1e-5 * whole.norm()


@pytest.mark.slow
def test_gradients_agree_over_ranks_and_accumulation(tmp_path: Path) -> None:
    prepare_tones(tmp_path / "data")
    found = {}
    for ranks in (1, 2, 3, 4):
        assert run_ranks(gradients.main, [str(tmp_path)], ranks).returncode == 0
        found[ranks] = torch.load(tmp_path / f"gradients-{ranks}.pt", weights_only=True)
    for precision, tolerance in (("fp64", 1e-10), ("fp32", 1e-5)):
        whole = found[1][f"{precision} 1"]
        for ranks, by_parts in found.items():
            for parts in (1, 2, 4):
                others = by_parts[f"{precision} {parts}"]
                assert len(others) == len(whole)
                for alone, together in zip(whole, others, strict=True):
                    distance = float((alone - together).norm() / alone.norm())
                    assert distance <= tolerance, f"{precision}, {ranks} ranks, {parts} parts: {distance}"


@pytest.mark.slow
def test_a_run_begun_on_two_ranks_and_ended_on_three_is_the_same_training(tmp_path: Path) -> None:
    runs = []
    for name in ("undisturbed", "changed"):
        folder, settings = tmp_path / name, [*OVERRIDES, "hardware.precision=fp64", "training.log_every_steps=1"]
        prepare_tones(folder / "data")
        if name == "changed":
            assert train("yesno", folder, settings, 2, TERMINATE_AT="12") != 0
        assert train("yesno", folder, settings, 3 if name == "changed" else 2) == 0
        runs.append(run_folder(folder, "yesno"))
    assert (runs[1] / "train.log").read_text().count("The run goes on with ranks=3 (until here 2): the batches") == 1
    losses = [[(row["step"], row["train/loss"]) for row in metrics(run) if "train/loss" in row] for run in runs]
    for (step, loss), (same_step, same_loss) in zip(*losses, strict=True):
        assert step == same_step and abs(loss - same_loss) < 1e-8, "the same global batches"
    undisturbed, changed = (last_checkpoint(run)["model"] for run in runs)
    for name, weights in undisturbed.items():
        assert (weights - changed[name]).abs().max() < 1e-8, name
