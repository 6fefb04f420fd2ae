"""Trainings in float16: its loss scale falls where gradients overflow, on all ranks alike, and survives a kill.

A CPU computes in float16 too, slowly; no user should, so it is allowed to these tests alone.
"""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from tests.helpers.trainings import SHORT_BATCHES, last_checkpoint, metrics, prepare_tones, run_folder, train
from tests.training.test_resume import assert_same_weights

SETTINGS = [
    "hardware.precision=fp16",
    "training.epochs=2",
    "hardware.workers=0",
    "training.log_every_steps=1",
    SHORT_BATCHES,
]
SCALE = 2.0**22


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_it_skips_overflows_and_goes_on_from_a_checkpoint(ranks: int, tmp_path: Path) -> None:
    runs = []
    for name, kills in (("undisturbed", []), ("killed", [5])):
        folder = tmp_path / name
        recipe = prepare_tones(folder / "data")
        settings = [*SETTINGS, "training.checkpoint_minutes=0"]
        for steps in kills:
            assert train(recipe, folder, settings, ranks, LOSS_SCALE=str(SCALE), DIE_AT=str(steps)) != 0
        assert train(recipe, folder, settings, ranks, LOSS_SCALE=str(SCALE)) == 0
        runs.append(run_folder(folder, recipe))
    rows = [row for row in metrics(runs[0]) if "train/loss" in row]
    scales = [row["train/loss_scale"] for row in rows]
    assert scales[0] == SCALE / 2 and not math.isfinite(rows[0]["train/gradient_norm"])
    assert any(later > earlier for earlier, later in pairwise(scales)), "it rises again"
    assert last_checkpoint(runs[0])["progression"]["skipped_steps"] == 0, "an overflow is no fault"
    assert "is skipped" not in (runs[0] / "train.log").read_text()
    assert str(metrics(runs[1])) == str(metrics(runs[0])), "equal except NaN, which equals nothing"
    assert_same_weights(runs[1], runs[0])
