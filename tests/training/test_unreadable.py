"""Audio that becomes unreadable during a training: it goes on without it, exactly and on all ranks alike."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.batching import loader
from asr.batching.loader import MicroBatch, load
from asr.common.errors import DataError, RunError
from asr.data.manifest import read_manifest, write_manifest
from asr.training.distributed import Ranks
from asr.training.train_state import TrainState, UnreadableUtterances
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import asr, last_checkpoint, metrics, run_folder

ONLINE = ["features.source=online", "features.normalization=utterance", "model.dropout=0"]
SETTINGS = [*ONLINE, "hardware.precision=fp64", "training.epochs=2", "training.log_every_steps=1"]
WORDS = ["YES", "NO", "YES NO", "NO YES", "NO NO", "YES YES NO", "NO NO YES", "YES NO YES NO", "NO YES NO NO"] * 2


def prepare(folder: Path) -> list[Path]:
    """A corpus of tones at 8 kHz as the recipe yesno's; gives the files of its training utterances."""
    data = folder / "data" / "yesno"
    write_corpus(data, {"train": WORDS, "dev": WORDS[:6], "test": WORDS[:2]}, sampling_rate=8000)
    return [utterance.audio_filepath for utterance in read_manifest(data / "train.jsonl")]


def without(folder: Path, numbers: list[int]) -> None:
    """Takes utterances out of the training manifest."""
    manifest = folder / "data" / "yesno" / "train.jsonl"
    write_manifest(manifest, [one for number, one in enumerate(read_manifest(manifest)) if number not in numbers])


def gradients(folder: Path, ranks: int = 1, lost: Sequence[int] = (), never: Sequence[int] = ()) -> list[torch.Tensor]:
    """Of a single batch of all utterances.

    Args:
        lost: Numbers of those whose file is deleted or, the last, overwritten.
        never: Numbers of those that are not in the manifest.
    """
    files = prepare(folder)
    without(folder, [*never])
    environment = {
        "VANISH": os.pathsep.join(str(files[number]) for number in lost[:-1]),
        "ROT": os.pathsep.join(str(files[number]) for number in lost[-1:]),
    }
    settings = [*SETTINGS, "debug=one_batch", "batching.global_seconds=1000"]
    finished = asr("train", "yesno", folder, settings, ranks, GRADIENTS=str(folder / "gradients.pt"), **environment)
    assert finished.returncode == 0
    read: list[torch.Tensor] = torch.load(folder / "gradients.pt", weights_only=True)
    return read


@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_gradient_is_that_of_a_batch_that_never_had_them(ranks: int, tmp_path: Path) -> None:
    never = gradients(tmp_path / "never", never=[3, 7])
    complete = gradients(tmp_path / "complete")
    lost = gradients(tmp_path / "lost", ranks, lost=[3, 7])
    for one, other in zip(never, lost, strict=True):
        assert (one - other).norm() <= 1e-10 * one.norm()
    assert any((one - other).norm() > 1e-3 * one.norm() for one, other in zip(complete, lost, strict=True))
    log = (run_folder(tmp_path / "lost", "yesno") / "train.log").read_text()
    for name, why in (("train-3", "is missing"), ("train-7", "cannot be decoded")):
        assert f"Step 1 goes on without Utterance {name} " in log and why in log


@pytest.mark.parametrize(
    ("ranks", "workers"),
    [(2, 2), *(pytest.param(*both, marks=pytest.mark.slow) for both in ((1, 0), (1, 2), (2, 0)))],
)
def test_a_whole_training_goes_on_and_names_them(ranks: int, workers: int, tmp_path: Path) -> None:
    files = prepare(tmp_path)
    (dev, *_) = (one.audio_filepath for one in read_manifest(tmp_path / "data/yesno/dev.jsonl"))
    gone = os.pathsep.join(map(str, [files[2], files[5], dev]))
    settings = [*SETTINGS, f"hardware.workers={workers}", "batching.global_seconds=3"]
    assert asr("train", "yesno", tmp_path, settings, ranks, VANISH=gone).returncode == 0
    run = run_folder(tmp_path, "yesno")
    assert last_checkpoint(run)["progression"]["lost"] == ["dev-0", "train-2", "train-5"]
    log = (run / "train.log").read_text()
    assert log.count("goes on without Utterance train-2 ") == 2, "once in each epoch"
    assert "Decoding dev goes on without Utterance dev-0 " in log
    assert all(np.isfinite(row["train/loss"]) for row in metrics(run) if "train/loss" in row)


def test_a_step_of_which_nothing_is_left_changes_nothing(tmp_path: Path) -> None:
    files = prepare(tmp_path)
    settings = [*SETTINGS, "training.epochs=1", "batching.global_seconds=0.1", "training.checkpoint_minutes=0"]
    settings += ["training.keep_checkpoints=99"]
    assert asr("train", "yesno", tmp_path, settings, VANISH=str(files[4])).returncode == 0
    run = run_folder(tmp_path, "yesno")
    states = [torch.load(path, weights_only=True) for path in sorted((run / "checkpoints").glob("*.pt"))]
    lost_at = next(place for place, state in enumerate(states) if state["progression"]["lost"])
    before, after = states[lost_at - 1], states[lost_at]
    assert all(torch.equal(before["model"][name], after["model"][name]) for name in before["model"])
    assert states[-1]["progression"]["step"] == len(files) and states[-1]["progression"]["skipped_steps"] == 0


@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_past_the_limit_it_stops_on_all_ranks(ranks: int, tmp_path: Path) -> None:
    files = prepare(tmp_path)
    settings, gone = [*SETTINGS, "training.max_lost_utterances=1"], os.pathsep.join(map(str, files[:2]))
    assert asr("train", "yesno", tmp_path, settings, ranks, VANISH=gone).returncode != 0
    log = (run_folder(tmp_path, "yesno") / "train.log").read_text()
    assert "goes on without Utterance train-0 " in log and "goes on without Utterance train-1 " in log


def test_a_dev_split_of_which_nothing_is_left_stops_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path)
    gone = [str(one.audio_filepath) for one in read_manifest(tmp_path / "data/yesno/dev.jsonl")]
    assert asr("train", "yesno", tmp_path, SETTINGS, VANISH=os.pathsep.join(gone)).returncode == 2
    said = capfd.readouterr().err
    assert "Traceback" not in said and "No utterance of dev can be read any more" in said
    log = (run_folder(tmp_path, "yesno") / "train.log").read_text()
    assert all(f"Decoding dev goes on without Utterance dev-{number} " in log for number in range(6))


def test_a_lower_limit_than_what_was_lost_already_stops_it_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = prepare(tmp_path)
    content = files[6].read_bytes()
    settings = [*SETTINGS, "batching.global_seconds=3", "training.checkpoint_minutes=0", "hardware.workers=0"]
    assert asr("train", "yesno", tmp_path, settings, VANISH=str(files[6]), DIE_AT="7").returncode != 0
    files[6].write_bytes(content)
    capfd.readouterr()
    assert asr("train", "yesno", tmp_path, [*settings, "training.max_lost_utterances=0"]).returncode == 2
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "without 1 unreadable utterances, more than training.max_lost_utterances=0" in said


def test_the_limit_stops_a_training_only_for_new_ones_or_at_its_start() -> None:
    state = TrainState(lost=["a", "b"])
    UnreadableUtterances(1, Ranks(0, 1)).record(state, "Decoding dev")
    with pytest.raises(RunError, match="raise it to go on"):
        UnreadableUtterances(1, Ranks(0, 1)).check(state)


def test_a_resumed_training_is_the_same_with_files_lost(tmp_path: Path) -> None:
    states = []
    for name in ("undisturbed", "resumed"):
        files = prepare(tmp_path / name)
        # One is lost before the training is killed, and is still so when it goes on.
        command = "run" if name == "resumed" else "train"
        settings = [*SETTINGS, "batching.global_seconds=3", "training.checkpoint_minutes=0", "hardware.workers=0"]
        environment = {"VANISH": str(files[6]), "VANISH_AT": "1"}
        if name == "resumed":
            killed = asr(command, "yesno", tmp_path / name, settings, DIE_AT="7", **environment)
            assert killed.returncode != 0 and not files[6].exists()
        assert asr(command, "yesno", tmp_path / name, settings, **environment).returncode == 0
        states.append(last_checkpoint(run_folder(tmp_path / name, "yesno")))
    for part in ("model", "averaged"):
        assert all(torch.equal(states[0][part][name], states[1][part][name]) for name in states[0][part])
    assert states[0]["progression"]["lost"] == states[1]["progression"]["lost"] == ["train-6"]


def test_a_training_does_not_begin_without_a_file(tmp_path: Path) -> None:
    prepare(tmp_path)[0].unlink()
    assert asr("train", "yesno", tmp_path, SETTINGS).returncode == 2


def test_a_file_that_comes_back_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(loader.time, "sleep", waits.append)

    def read(number: int, epoch: int) -> torch.Tensor:
        if number == 1 and len(waits) < 2:
            raise DataError("Utterance b is away.")
        return torch.full((2, 1), float(number))

    (batch,) = load([MicroBatch(0, np.array([0, 1, 2]))], read, [[1], [2, 2], [3]], 0, ids=["a", "b", "c"])
    assert waits == list(loader.RETRY_SECONDS)
    assert (list(batch.utterances), batch.unreadable) == ([0, 1, 2], ())


@pytest.mark.parametrize("workers", [0, 2])
def test_no_utterance_gets_the_text_of_another(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "RETRY_SECONDS", ())

    def read(number: int, epoch: int) -> torch.Tensor:
        if number in (1, 4):
            raise DataError(f"Utterance {number} is rotten.")
        return torch.full((2, 1), float(number))

    parts = [MicroBatch(0, np.array(numbers)) for numbers in ([1, 0, 2], [4], [3, 4, 5])]
    batches = list(load(parts, read, [[10 + number] * (number + 1) for number in range(6)], workers, list("abcdef")))
    for batch in batches:
        assert batch.inputs[:, 0, 0].tolist() == list(batch.utterances) if len(batch.utterances) else True
        labels = [label for number in batch.utterances for label in [10 + number] * (number + 1)]
        assert batch.labels.tolist() == labels and len(batch.lengths) == len(batch.utterances)
    assert [[(lost.id, lost.labels) for lost in batch.unreadable] for batch in batches] == [
        [("b", 2)],
        [("e", 5)],
        [("e", 5)],
    ]


def test_the_limit_is_no_part_of_the_identity_of_a_run(tmp_path: Path) -> None:
    prepare(tmp_path)
    for limit in (3, 5):
        assert asr("train", "yesno", tmp_path, [*SETTINGS, f"training.max_lost_utterances={limit}"]).returncode == 0
    run_folder(tmp_path, "yesno")
