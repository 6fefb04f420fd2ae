"""A step whose loss is not finite is skipped by all ranks together, counted and named."""

from pathlib import Path

import pytest
import torch

from tests.helpers.trainings import SHORT_BATCHES, last_checkpoint, prepare_tones, run_folder, train

SETTINGS = [
    "hardware.workers=0",
    "training.epochs=1",
    "training.checkpoint_minutes=0",
    "training.keep_checkpoints=99",
    SHORT_BATCHES,
]


@pytest.mark.parametrize("ranks", [1, 2])
def test_it_changes_neither_the_weights_nor_their_average(ranks: int, tmp_path: Path) -> None:
    recipe = prepare_tones(tmp_path / "data")
    assert train(recipe, tmp_path, SETTINGS, ranks, POISON_AT="3") == 0
    run = run_folder(tmp_path, recipe)
    states = [torch.load(path, weights_only=True) for path in sorted((run / "checkpoints").glob("*.pt"))]
    before, after, later = (next(s for s in states if s["progression"]["step"] == step) for step in (3, 4, 5))
    for part in ("model", "averaged"):
        assert all(torch.equal(before[part][name], after[part][name]) for name in before[part]), part
        assert any(not torch.equal(later[part][name], after[part][name]) for name in before[part]), part
    assert last_checkpoint(run)["progression"]["skipped_steps"] == 1
    log = (run / "train.log").read_text()
    assert "is skipped: its loss or gradient is not finite. Utterances: " in log


def test_too_many_of_them_end_the_training(tmp_path: Path) -> None:
    recipe = prepare_tones(tmp_path / "data")
    settings = [*SETTINGS, "training.max_skipped_steps=1"]
    assert train(recipe, tmp_path, settings, POISON_AT="1,2") == 2
