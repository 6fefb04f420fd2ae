"""`asr run`, from manifests to results, on a corpus of tones."""

import json
from pathlib import Path

import pytest

import asr as library
from asr.common.errors import DataError
from asr.data.manifest import read_manifest
from asr.scoring.results import read_results
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import asr, run_folder

TEXTS = ["ONE TWO", "TWO THREE", "THREE ONE", "TWO TWO ONE", "ONE", "THREE", "TWO ONE", "THREE THREE"]
OVERRIDES = ["training.epochs=2", "tracker=offline", "model.layers=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and the run of a corpus that was never trained before."""
    folder = tmp_path_factory.mktemp("run")
    write_corpus(folder / "data" / "an4", {"train": TEXTS * 2, "dev": TEXTS[:3], "test": TEXTS[3:]})
    assert asr("run", "an4", folder, OVERRIDES).returncode == 0
    return folder


def test_the_results_are_there_with_their_origin(folder: Path) -> None:
    run = run_folder(folder, "an4")
    for split, utterances in (("dev", 3), ("test", 5)):
        results = read_results(run / "evaluation" / split / "greedy")
        assert (results.recipe, results.run, results.utterances, results.seed) == ("an4", run.name, utterances, 1)
        assert results.wer_low <= results.wer <= results.wer_high
        assert results.train_seconds > 0
        assert results.config_hash in run.name
    assert json.loads((run / "summary.json").read_text())["test/wer"] == results.wer


def test_the_library_hears_what_the_command_heard(folder: Path) -> None:
    run = run_folder(folder, "an4")
    rows = [json.loads(line) for line in (run / "evaluation/test/greedy/hypotheses.jsonl").read_text().splitlines()]
    utterances = read_manifest(folder / "data/an4/test.jsonl")
    assert [row["id"] for row in rows] == [utterance.id for utterance in utterances]
    recognizer = library.load(run)
    transcripts = recognizer.transcribe([utterance.audio_filepath for utterance in utterances], batch_seconds=2)
    assert transcripts == [row["hypothesis"] for row in rows]


def test_what_the_library_cannot_hear_is_named(folder: Path, tmp_path: Path) -> None:
    recognizer = library.load(run_folder(folder, "an4") / "model")
    (tmp_path / "text.wav").write_text("not audio")
    for path, sentence in (
        (tmp_path / "text.wav", "libsndfile cannot read it|can decode it"),
        (tmp_path, "is a folder, where a recording belongs"),
    ):
        with pytest.raises(DataError, match=sentence):
            recognizer.transcribe([path])


def test_a_finished_run_is_not_trained_again_unless_told(folder: Path) -> None:
    run = run_folder(folder, "an4")
    trained = (run / "model/model.safetensors").stat().st_mtime_ns
    assert asr("run", "an4", folder, OVERRIDES).returncode == 0
    assert (run / "model/model.safetensors").stat().st_mtime_ns == trained
    assert asr("run", "an4", folder, [*OVERRIDES, "training.restart=true"]).returncode == 0
    assert run_folder(folder, "an4") == run
    assert (run / "model/model.safetensors").stat().st_mtime_ns > trained
    assert (run / "evaluation/test/greedy/results.json").is_file()


@pytest.mark.parametrize("mode", ["one_batch", "profile"])
def test_debugging_ends_after_a_few_steps(mode: str, folder: Path, tmp_path: Path) -> None:
    overrides = [*OVERRIDES, f"debug={mode}", f"paths.runs={tmp_path / 'runs'}"]
    assert asr("train", "an4", folder, overrides).returncode == 0
    run = run_folder(tmp_path, "an4")
    assert (run / "profile.json").is_file() == (mode == "profile")
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["epoch"] == 1.0


def test_stored_and_online_features_train_alike(folder: Path, tmp_path: Path) -> None:
    losses = []
    for source in ("store", "online"):
        runs = tmp_path / source
        settings = [f"paths.runs={runs / 'runs'}", f"features.source={source}", "hardware.precision=fp32"]
        settings += ["features.normalization=corpus", "tracker=disabled"]
        assert asr("train", "an4", folder, [*OVERRIDES, *settings]).returncode == 0
        rows = (run_folder(runs, "an4") / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(row)["train/loss"] for row in rows if "train/loss" in row])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
