"""A run folder that is deleted during its training."""

from pathlib import Path

import pytest

from tests.helpers.trainings import SHORT_BATCHES, asr, metrics, prepare_tones, run_folder
from tests.training.test_resume import assert_same_weights

SETTINGS = ["training.epochs=2", "training.checkpoint_minutes=0", "hardware.workers=0", SHORT_BATCHES]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert asr("train", prepare_tones(folder / "data"), folder, SETTINGS).returncode == 0
    return run_folder(folder, "yesno")


@pytest.mark.slow
@pytest.mark.parametrize(("step", "ranks"), [("9", 1), ("17", 1), ("3", 2)])
def test_what_can_be_saved_is_saved_and_goes_on(undisturbed: Path, tmp_path: Path, step: str, ranks: int) -> None:
    recipe = prepare_tones(tmp_path / "data")
    ended = asr("train", recipe, tmp_path, SETTINGS, ranks, DELETE_AT=step)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert f"was deleted during the training: the checkpoint of step {int(step) + 1}, the " in ended.stderr
    again = asr("train", recipe, tmp_path, SETTINGS, ranks)
    assert again.returncode == 0, again.stderr
    run = run_folder(tmp_path, recipe)
    assert [row["step"] for row in metrics(run)] == [row["step"] for row in metrics(undisturbed)]
    assert (run / "config.yaml").is_file() and (run / "model" / "model.safetensors").is_file()
    if ranks == 1:
        assert metrics(run) == metrics(undisturbed)
        assert_same_weights(run, undisturbed)


@pytest.mark.slow
def test_the_folder_of_another_process_is_left_alone(tmp_path: Path) -> None:
    recipe = prepare_tones(tmp_path / "data")
    ended = asr("train", recipe, tmp_path, SETTINGS, REPLACE_AT="9")
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "was deleted and is in use by another process: this training ends at step 10." in ended.stderr
    written = {path.name for path in run_folder(tmp_path, recipe).iterdir()}
    assert written <= {".lock", "checkpoints"}  # a checkpoint of before may be finished meanwhile
