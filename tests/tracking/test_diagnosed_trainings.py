"""Training diagnostics of real trainings that fail, and of one that does not."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from asr.data.manifest import write_manifest
from asr.report.runs import find_runs
from asr.tracking.diagnostics import diagnose
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import prepare_yesno, run_folder, train

pytestmark = pytest.mark.slow

LETTERS = "ENOSY"
"""Of the alphabet of yesno, which the recipe's tokenizer knows."""


def found(folder: Path) -> dict[str, str]:
    (run,) = find_runs([run_folder(folder, "yesno")])
    return {one.kind: one.sentence for one in diagnose(run.metrics, run.settings, run.skipped)}


MACHINE = {"data"}
"""A training this small may wait for data on a busy machine."""


def spelled(generator: random.Random, letters: int) -> str:
    return " ".join(generator.choice(LETTERS) for _ in range(letters))


def write_tones(folder: Path, lengths: list[int], wrong: int = 0) -> None:
    """Writes tones in place of yesno.

    Args:
        lengths: Letters in each training utterance.
        wrong: Training transcripts that do not match their audio.
    """
    generator = random.Random(1)
    texts = {
        "train": [spelled(generator, length) for length in lengths],
        "dev": [spelled(generator, 8) for _ in range(10)],
        "test": ["N O"],
    }
    data = folder / "data" / "yesno"
    train = write_corpus(data, texts, sampling_rate=8000)["train"]
    others = [replace(one, text=spelled(generator, 8)) for one in train[:wrong]]
    write_manifest(data / "train.jsonl", others + train[wrong:])


def test_a_healthy_training_has_no_diagnostics(tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    assert train("yesno", tmp_path, ["training.epochs=25", "model.hidden=64", "model.dropout=0.1"]) == 0
    assert found(tmp_path).keys() <= MACHINE


def test_a_rate_so_low_that_nothing_is_learned_is_a_collapse(tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    assert train("yesno", tmp_path, ["training.epochs=4", "optimizer.learning_rate=1e-7", "model.hidden=64"]) == 0
    sentences = found(tmp_path)
    assert sentences.keys() - MACHINE == {"collapse"} and "the model outputs almost nothing" in sentences["collapse"]


def test_a_small_model_that_waits_for_data_and_computes_padding(tmp_path: Path) -> None:
    write_tones(tmp_path, [1, 25] * 15)
    settings = ["model.hidden=2", "model.layers=1", "hardware.workers=0",
                "batching.length_jitter=1", "training.epochs=2", "training.log_every_steps=1"]  # fmt: skip
    assert train("yesno", tmp_path, settings, SLOW_READS="0.03") == 0
    sentences = found(tmp_path)
    assert {"data", "padding"} <= sentences.keys() and " % of step time waits for data" in sentences["data"]


def test_transcripts_that_can_only_be_memorized_are_over_fitting(tmp_path: Path) -> None:
    write_tones(tmp_path, [8] * 30, wrong=12)
    settings = ["training.epochs=70", "model.hidden=64", "model.dropout=0", "augment=none", "batching.global_seconds=5"]
    assert train("yesno", tmp_path, settings) == 0
    sentences = found(tmp_path)
    assert sentences.keys() - MACHINE == {"over-fit"} and sentences["over-fit"].startswith("dev WER rises since epoch ")


def test_a_rate_far_too_high_diverges(tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    settings = ["training.epochs=3", "optimizer.learning_rate=3", "model.hidden=64", "training.log_every_steps=1"]
    assert train("yesno", tmp_path, settings) == 0
    assert "the training diverges" in found(tmp_path)["diverging"]


def test_steps_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    settings = ["training.epochs=1", "optimizer.learning_rate=100", "optimizer.weight_decay=100"]
    settings.append("training.max_skipped_steps=1000")
    assert train("yesno", tmp_path, settings) == 0
    assert "skipped because the loss or the gradient was not finite" in found(tmp_path)["skipped"]
