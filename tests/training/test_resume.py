"""A training that was killed and started again ends as one that never was."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from asr.tracking.metrics import read_panel
from tests.helpers.offline_runs import history
from tests.helpers.trainings import SHORT_BATCHES, last_checkpoint, metrics, prepare_tones, run_folder, train

OVERRIDES = ["training.epochs=4", "training.log_every_steps=3", SHORT_BATCHES]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert train(prepare_tones(folder / "data"), folder, OVERRIDES) == 0
    return run_folder(folder, "yesno")


def steps_in_epoch(run: Path) -> int:
    (first,) = (row["step"] for row in metrics(run) if row["epoch"] == 1.0 and "dev/wer" in row)
    return int(first)


def assert_same_weights(run: Path, other: Path) -> None:
    assert (run / "model/model.safetensors").read_bytes() == (other / "model/model.safetensors").read_bytes()
    for part in ("model", "averaged"):
        resumed, whole = last_checkpoint(run)[part], last_checkpoint(other)[part]
        assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.parametrize(
    ("signal", "tracker"),
    [
        ("DIE_AT", "offline"),
        ("TERMINATE_AT", "disabled"),
        pytest.param("TERMINATE_AT", "offline", marks=pytest.mark.slow),
    ],
)
def test_a_training_killed_in_its_third_epoch_ends_the_same(
    signal: str, tracker: str, undisturbed: Path, tmp_path: Path
) -> None:
    recipe = prepare_tones(tmp_path / "data")
    in_third_epoch = 2 * steps_in_epoch(undisturbed) + 1
    settings = [*OVERRIDES, f"tracker={tracker}"]
    code = train(recipe, tmp_path, settings, **{signal: str(in_third_epoch)})
    assert code == {"DIE_AT": -9, "TERMINATE_AT": 128 + 15}[signal]
    assert train(recipe, tmp_path, settings) == 0

    run = run_folder(tmp_path, recipe)
    assert run.name == undisturbed.name
    assert metrics(run) == metrics(undisturbed)
    assert_same_weights(run, undisturbed)
    panel = read_panel(run)
    assert panel == read_panel(undisturbed)
    assert [row["epoch"] for row in panel] == [1, 2, 3, 4]
    assert all(len(row["utterances"]) == len(panel[0]["utterances"]) > 1 for row in panel)

    if tracker == "disabled":
        return
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert history(run) == logged, "the W&B run holds every row once"


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_that_were_killed_end_the_same(ranks: int, tmp_path: Path) -> None:
    runs = []
    for name, kills in (("undisturbed", []), ("killed", [7, 5])):
        folder = tmp_path / name
        recipe = prepare_tones(folder / "data")
        for steps in kills:
            assert train(recipe, folder, OVERRIDES, ranks, DIE_AT=str(steps)) != 0
        assert train(recipe, folder, OVERRIDES, ranks) == 0
        runs.append(run_folder(folder, recipe))
    assert metrics(runs[1]) == metrics(runs[0])
    assert_same_weights(runs[1], runs[0])


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [[], ["hardware.precision=fp32"], ["hardware.precision=fp16"]])
def test_a_deterministic_training_on_a_gpu_ends_the_same(settings: list[str], tmp_path: Path) -> None:
    settings = [
        "training.epochs=3",
        "hardware.device=cuda",
        "training.deterministic=true",
        SHORT_BATCHES,
        *settings,
    ]
    recipe = prepare_tones(tmp_path / "data")
    runs = []
    for name, environment in (("undisturbed", {}), ("killed", {"DIE_AT": "5"})):
        own = [*settings, f"paths.runs={tmp_path / name}"]
        if environment:
            assert train(recipe, tmp_path, own, **environment) == -9
        assert train(recipe, tmp_path, own) == 0
        (run,) = (tmp_path / name / recipe).glob("lstm-*")
        runs.append(run)
    assert metrics(runs[1]) == metrics(runs[0])
    assert_same_weights(runs[1], runs[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "said"),
    [("hardware.workers=2", ""), ("hardware.threads=2", "goes on with threads=2 (until here 1): the batches")],
)
def test_workers_change_no_bit_and_threads_are_said_once(
    setting: str, said: str, undisturbed: Path, tmp_path: Path
) -> None:
    recipe = prepare_tones(tmp_path / "data")
    assert train(recipe, tmp_path, [*OVERRIDES, "hardware.workers=0"], TERMINATE_AT="9") == 128 + 15
    assert train(recipe, tmp_path, [*OVERRIDES, setting]) == 0
    run = run_folder(tmp_path, recipe)
    assert run.name == undisturbed.name
    log = (run / "train.log").read_text()
    if said:
        assert log.count(said) == log.count("The run goes on with") == 1
    else:
        assert "The run goes on with" not in log
        assert_same_weights(run, undisturbed)


def test_a_finished_training_whose_checkpoints_were_deleted_is_not_done_again(
    undisturbed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As somebody may who needs the space: the model is all that is used."""
    shutil.copytree(undisturbed.parents[2], tmp_path, dirs_exist_ok=True)
    run = run_folder(tmp_path, "yesno")
    shutil.rmtree(run / "checkpoints")
    kept = {path: path.read_bytes() for path in [*(run / "model").iterdir(), run / "metrics.jsonl"]}
    assert train("yesno", tmp_path, OVERRIDES) == 0
    said = capfd.readouterr().err
    best = min(row["dev/wer"] for row in metrics(run) if "dev/wer" in row)
    assert "is finished" in said and f"Best dev WER {100 * best:.2f} %" in said
    assert kept == {path: path.read_bytes() for path in kept}
    (run / "metrics.jsonl").unlink()
    assert train("yesno", tmp_path, OVERRIDES) == 2
    assert "has neither checkpoints nor metrics, only a model: start over with" in capfd.readouterr().err
