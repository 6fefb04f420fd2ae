"""A finished run is opened by its folder or by that of its model."""

import shutil
from pathlib import Path

import pytest
import torch

from asr.common.errors import ConfigError, RunError
from asr.inference.finished_run import FinishedRun
from asr.model.folder import save_model
from tests.helpers.models import random_recognizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of the recipe an4, whose model has random weights."""
    run = tmp_path / "an4" / "lstm-01234567"
    recognizer = random_recognizer(["features.normalization=utterance"], [])
    save_model(run / "model", recognizer.model, recognizer.config, recognizer.tokenizer)
    shutil.copy(run / "model" / "config.yaml", run / "config.yaml")
    return run


def test_a_run_has_its_recipe_its_settings_and_its_recognizer(folder: Path) -> None:
    run = FinishedRun.at(folder)
    assert (run.path, run.recipe.name, run.config.model.hidden) == (folder, "an4", 24)
    waveforms, lengths = torch.randn(1, 8000), torch.tensor([8000])
    expected = random_recognizer(["features.normalization=utterance"], []).log_probs(waveforms, lengths)[0]
    assert torch.equal(run.recognizer().log_probs(waveforms, lengths)[0], expected)


def test_the_run_and_its_model_name_the_same(folder: Path) -> None:
    by_run, by_model = (FinishedRun.of_model(path, "RUN") for path in (folder, folder / "model"))
    assert by_run == by_model == FinishedRun.at(folder)
    with pytest.raises(RunError, match=r"No trained model at .*: give the folder of a run or of a model as RUN"):
        FinishedRun.of_model(folder.parent, "RUN")


def test_a_corpus_that_has_moved_is_read_where_it_is_now(folder: Path) -> None:
    assert FinishedRun.at(folder).config.paths.data != "elsewhere"
    assert FinishedRun.at(folder, "elsewhere").config.paths.data == "elsewhere"


def test_results_are_where_the_run_keeps_them(folder: Path) -> None:
    run = FinishedRun.at(folder)
    assert run.evaluation("test", "greedy") == folder / "evaluation/test/greedy"
    assert (run.tuning("key"), run.calibration("dev")) == (folder / "tuning/key", folder / "calibration/dev")


def test_a_run_that_was_trained_on_dev_has_no_unseen_dev(folder: Path) -> None:
    FinishedRun.at(folder).require_unseen_dev("tune")
    settings = (folder / "config.yaml").read_text()
    assert "with_dev: false" in settings
    (folder / "config.yaml").write_text(settings.replace("with_dev: false", "with_dev: true"))
    with pytest.raises(ConfigError, match=r"trained on dev.* tune another"):
        FinishedRun.at(folder).require_unseen_dev("tune")
