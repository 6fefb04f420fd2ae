"""Trainings that are killed at random moments, and a disk that fills up."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.programs import ROOT
from tests.helpers.trainings import SHORT_BATCHES, metrics, prepare_tones, prepare_yesno, run_folder, train
from tests.training.test_resume import assert_same_weights

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
def test_killed_trainings_end_as_if_undisturbed(tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    amount = ["--trainings", "2", "--kills", "4", "--epochs", "8"]
    places = ["--data", str(tmp_path / "data"), "--folder", str(tmp_path / "kills")]
    ended = subprocess.run(
        [sys.executable, "-m", "tools.kills", *amount, *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 of 2 trainings ended as if undisturbed" in ended.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_disk_that_fills_up_ends_all_ranks_and_costs_no_good_checkpoint(ranks: int, tmp_path: Path) -> None:
    settings = ["training.epochs=3", "training.checkpoint_minutes=0", "hardware.workers=0", SHORT_BATCHES]
    runs = []
    for name in ("undisturbed", "full"):
        folder = tmp_path / name
        recipe = prepare_tones(folder / "data")
        if name == "full":
            assert train(recipe, folder, settings, ranks, DISK_FULL_AT="10") != 0
            checkpoints = list((run_folder(folder, recipe) / "checkpoints").iterdir())
            assert checkpoints and all(path.suffix == ".pt" for path in checkpoints)
        assert train(recipe, folder, settings, ranks) == 0
        runs.append(run_folder(folder, recipe))
    assert "Resuming from step" in (runs[1] / "train.log").read_text()
    assert metrics(runs[1]) == metrics(runs[0])
    assert_same_weights(runs[1], runs[0])
