"""One, two and three ranks are the same training."""

from pathlib import Path

import pytest
import torch

from tests.trainings import last_checkpoint, prepare_yesno, run_folder, train

OVERRIDES = ["training.epochs=4", "model.dropout=0", "hardware.workers=0"]


@pytest.mark.parametrize("ranks", [2, 3])
def test_after_20_steps_in_float64_the_weights_are_the_same(ranks: int, tmp_path: Path) -> None:
    weights = []
    for size in (1, ranks):
        folder = tmp_path / str(size)
        prepare_yesno(folder / "data")
        assert train("yesno", folder, [*OVERRIDES, "hardware.precision=fp64"], size) == 0
        state = last_checkpoint(run_folder(folder, "yesno"))
        assert state["progression"]["step"] >= 20
        weights.append(state["model"])
    for name, alone in weights[0].items():
        assert (alone - weights[1][name]).abs().max() < 1e-10, name


def test_the_gradients_of_the_first_step_agree_in_float32(tmp_path: Path) -> None:
    gradients = []
    for ranks in (1, 2, 3):
        folder = tmp_path / str(ranks)
        prepare_yesno(folder / "data")
        file = folder / "gradients.pt"
        settings = ["hardware.precision=fp32", "debug=one_batch"]
        assert train("yesno", folder, [*OVERRIDES, *settings], ranks, GRADIENTS=str(file)) == 0
        gradients.append(torch.load(file, weights_only=True))
    for shared in gradients[1:]:
        for alone, together in zip(gradients[0], shared, strict=True):
            assert (alone - together).norm() <= 1e-5 * alone.norm()


def test_accumulation_changes_no_gradient(tmp_path: Path) -> None:
    gradients = []
    for seconds in (600, 15):
        folder = tmp_path / str(seconds)
        prepare_yesno(folder / "data")
        file = folder / "gradients.pt"
        settings = ["hardware.precision=fp32", "debug=one_batch", f"batching.max_device_seconds={seconds}"]
        assert train("yesno", folder, [*OVERRIDES, *settings], GRADIENTS=str(file)) == 0
        gradients.append(torch.load(file, weights_only=True))
    for whole, accumulated in zip(*gradients, strict=True):
        assert (whole - accumulated).norm() <= 1e-5 * whole.norm()
