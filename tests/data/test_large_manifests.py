"""Manifests that are read through an index of their lines: the same utterances, and the same training."""

import json
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from asr.batching.dataset import Dataset
from asr.batching.loader import LazyLabels, labels_of_all, load
from asr.batching.steps import Steps, micro_batches_of
from asr.common.errors import DataError
from asr.common.seeds import keys_of
from asr.data import manifest
from asr.data.manifest import IndexedManifest, index_path, make_index, manifest_checksum, read_manifest, write_manifest
from asr.data.mixture import spread
from asr.data.utterance import Joined, LazyUtterances, Picked, Utterance, id_keys, joined, seconds_of
from asr.settings.batching import BatchingConfig, BatchOrder
from asr.text.char import CharTokenizer
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import asr, last_checkpoint, run_folder

TEXTS = ["YES", "NO", "YES NO", "NO YES", "NO NO", "YES YES NO", "NO NO YES", "YES NO YES NO"]


def written(path: Path, count: int = 50) -> list[Utterance]:
    """A manifest with names in several scripts and a blank line in its middle."""
    rows = [
        Utterance(
            f"id-{n}-é", path.parent / f"a/{n}.wav", n / 7, 1 + (n * 37 % 11) / 3, TEXTS[n % 8], f"s{n % 5}", 8000
        )
        for n in range(count)
    ]
    write_manifest(path, rows)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[: count // 2], b"  \n", *lines[count // 2 :]]))
    return rows


def test_it_reads_the_same_utterances(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = written(path)
    plain, checksum = read_manifest(path), manifest_checksum(path)
    assert isinstance(plain, list) and not index_path(path).exists(), "a small one needs no index"
    make_index(path)
    lines = read_manifest(path)
    assert isinstance(lines, IndexedManifest)
    assert [*lines] == plain == rows and [lines[n] for n in range(len(lines))] == rows
    assert lines[-1] == rows[-1] and lines[3:40:5] == rows[3:40:5] and lines[np.int64(7)] == rows[7]
    with pytest.raises(IndexError):
        lines[len(rows)]
    assert seconds_of(lines).tolist() == [row.duration for row in rows]
    assert np.array_equal(id_keys(lines), keys_of([row.id for row in rows]))
    assert manifest_checksum(path) == checksum and lines.line_index.speakers == 5
    assert [*pickle.loads(pickle.dumps(lines))] == rows


def test_memory_does_not_grow_by_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, count = tmp_path / "train.jsonl", 4000
    written(path, count)
    make_index(path)
    monkeypatch.setattr(manifest, "ITERATED", 100)
    tracemalloc.start()
    try:
        lines = read_manifest(path)
        assert sum(len(row.text) > 0 for row in lines) == len(seconds_of(lines)) == len(id_keys(lines)) == count
        indexed = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        index_path(path).unlink()
        rows = read_manifest(path)
        whole = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rows) == count
    assert indexed < 50 * count and whole < 2000 * count, "bytes for each line"


def test_blocks_of_any_size_give_one_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.jsonl"
    rows = written(path)
    for size in (1, 100, 1000):
        monkeypatch.setattr(manifest, "BLOCK_BYTES", size)
        index_path(path).unlink(missing_ok=True)
        make_index(path)
        lines = read_manifest(path)
        assert isinstance(lines, IndexedManifest) and [*lines] == rows
        assert seconds_of(lines).tolist() == [row.duration for row in rows]


def test_a_large_one_gets_its_index_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LARGE_BYTES", 100)
    rows = written(tmp_path / "made.jsonl")
    path = tmp_path / "train.jsonl"
    write_manifest(path, rows)
    monkeypatch.setattr(manifest, "make_index", lambda path: pytest.fail("it has one already"))
    assert [*read_manifest(path)] == rows


def test_a_manifest_that_changed_is_indexed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.jsonl"
    rows = written(path)
    make_index(path)
    before = read_manifest(path)
    write_manifest(path, rows[:10])
    assert [*before] == rows, "who reads the old one goes on with it"
    assert read_manifest(path) == rows[:10]
    monkeypatch.setattr(manifest, "LARGE_BYTES", 100)
    assert isinstance(read_manifest(path), IndexedManifest) and [*read_manifest(path)] == rows[:10]
    index_path(path).write_bytes(index_path(path).read_bytes()[:200])
    assert [*read_manifest(path)] == rows[:10], "a damaged index is none"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [('{"id": 1}', "line 52: the field 'audio_filepath' is missing"), ("{", "line 52: not a JSON object")],
)
def test_a_line_that_is_none_is_named(
    line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "LARGE_BYTES", 100)
    path = tmp_path / "train.jsonl"
    written(path)
    with path.open("a") as lines:
        lines.write(line + "\n")
    with pytest.raises(DataError, match=sentence):
        read_manifest(path)


def test_an_id_that_stands_there_twice_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LARGE_BYTES", 100)
    rows = written(tmp_path / "made.jsonl")
    write_manifest(tmp_path / "train.jsonl", [*rows, rows[4]])
    with pytest.raises(DataError, match="line 51: the id 'id-4-é' occurs twice"):
        read_manifest(tmp_path / "train.jsonl")


def test_plans_labels_and_mixtures_are_those_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = written(path)
    make_index(path)
    lines, tokenizer = read_manifest(path), CharTokenizer(" ENOSY")
    both, longer = joined([lines, rows[:0], [*rows[:5]]]), [*rows, *rows[:5]]
    assert isinstance(both, Joined) and [*both] == longer and seconds_of(both).tolist() == [o.duration for o in longer]
    weights = [(id_keys(rows[:20]), 2.5), (id_keys(rows[20:30]), 0.3)]
    for utterances, plain in ((lines, rows), (spread(lines, weights), spread(rows, weights))):
        shares = None
        if isinstance(utterances, tuple):
            (utterances, shares), (plain, other) = utterances, plain  # type: ignore[assignment]
            assert isinstance(utterances, Picked) and shares is not None and np.array_equal(shares, other)
            assert len(plain) == 20 * 3 + 10 + 20
        assert isinstance(utterances, LazyUtterances) and [*utterances] == plain
        steps = []
        for some in (utterances, plain):
            labels = labels_of_all(tokenizer, some)
            assert isinstance(labels, LazyLabels) is (some is utterances)
            inputs = Dataset(some, None, None, 1, shares)
            batching = BatchingConfig(10.0, 10.0, 0.1, BatchOrder.random)
            steps.append([*Steps(inputs, labels, batching, 1, 0, 2).start(0, 0, 2)])
        for one, other_step in zip(*steps, strict=True):
            assert one.labels == other_step.labels > 0 and np.array_equal(one.utterances, other_step.utterances)


def test_workers_load_the_same_batches(tmp_path: Path) -> None:
    splits = write_corpus(tmp_path, {"train": TEXTS, "dev": TEXTS[:1], "test": TEXTS[:1]})
    make_index(tmp_path / "train.jsonl")
    loaded = []
    for utterances in (read_manifest(tmp_path / "train.jsonl"), splits["train"]):
        inputs, labels = Dataset(utterances, None, None, 1), labels_of_all(CharTokenizer(" ENOSY"), utterances)
        steps = Steps(inputs, labels, BatchingConfig(3.0, 3.0, 0.1, BatchOrder.random), 1, 0, 1)
        loaded.append([*load(micro_batches_of(steps.start(0, 0, 1)), inputs, labels, 2, inputs.ids)])
    for one, other in zip(*loaded, strict=True):
        assert np.array_equal(one.utterances, other.utterances) and one.labels.equal(other.labels)
        assert one.inputs.equal(other.inputs)


@pytest.mark.slow
def test_a_training_is_the_same_and_all_commands_work(tmp_path: Path) -> None:
    states = []
    for name in ("plain", "indexed"):
        data = tmp_path / name / "data" / "yesno"
        write_corpus(data, {"train": TEXTS, "dev": TEXTS[:2], "test": TEXTS[2:4]}, sampling_rate=8000)
        if name == "indexed":
            for split in ("train", "dev", "test"):
                make_index(data / f"{split}.jsonl")
        for command in ("prepare", "check", "extract", "train", "evaluate"):
            assert asr(command, "yesno", tmp_path / name, ["training.epochs=1"]).returncode == 0, command
        run = run_folder(tmp_path / name, "yesno")
        states.append((run.name, last_checkpoint(run)["model"]))
        rows = json.loads((run / "evaluation" / "test" / "greedy" / "results.json").read_text())
        assert rows["utterances"] == 2
    (plain, weights), (indexed, others) = states
    assert plain == indexed and all(weights[key].equal(others[key]) for key in weights)


@pytest.mark.parametrize(("indexed", "block"), [(False, 1 << 28), (True, 1 << 28), (True, 1 << 20)])
def test_a_line_without_end_is_refused_in_little_memory(
    indexed: bool, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.jsonl"
    written(path)
    os.truncate(path, 1 << 27)
    monkeypatch.setattr(manifest, "LARGE_BYTES", 0 if indexed else 1 << 28)
    monkeypatch.setattr(manifest, "BLOCK_BYTES", block)
    monkeypatch.setattr(manifest, "map_blocks", lambda function, blocks, *_: function(blocks))  # in this process
    tracemalloc.start()
    with pytest.raises(DataError, match=r"train\.jsonl, line 52: it has more than 1,048,576 bytes"):
        read_manifest(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
