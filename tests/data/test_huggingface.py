"""Datasets of Hugging Face whose rows have no names: unique ids, the same in every run, audio kept apart."""

import shlex
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import soundfile

from asr.common.errors import ConfigError, DataError
from asr.data.audio import read_waveform
from asr.data.formats.reading import read_source
from asr.data.utterance import Utterance
from asr.settings.data import DataConfig, SourceFormat

RATE = 16000
Items = Sequence[Mapping[str, Any]]


def sound(level: float) -> bytes:
    content = BytesIO()
    soundfile.write(content, np.full(RATE // 10, level), RATE, format="WAV", subtype="FLOAT")
    return content.getvalue()


def saved(folder: Path, splits: Mapping[str, Items]) -> Path:
    """A dataset whose text is the level of the audio; a single split without name is not in a dictionary."""
    parts = {}
    for name, items in splits.items():
        rows = [{"audio": {"bytes": None, "path": None}, **item} for item in items]
        parts[name] = datasets.Dataset.from_list(rows)
    (parts[""] if "" in parts else datasets.DatasetDict(parts)).save_to_disk(str(folder))
    return folder


def items(levels: Sequence[float], path: str | None = None, **columns: Sequence[Any]) -> Items:
    return [
        {"audio": {"bytes": sound(level), "path": path}, "text": str(level), **{k: v[n] for k, v in columns.items()}}
        for n, level in enumerate(levels)
    ]


def read(source: Path, output: Path, columns: Mapping[str, str] | None = None) -> dict[str, Utterance]:
    config = DataConfig(
        sampling_rate=RATE, mixture={"train": 1.0}, source=str(source), format=SourceFormat.auto,
        columns=dict(columns or {}), license=None, held_out=0.1, convert=False,
    )  # fmt: skip
    found = [one for part in read_source(config, output / "audio").values() for one in part]
    for one in found:
        assert float(read_waveform(one)[0]) == pytest.approx(float(one.text)), "its audio is its own"
    return {one.id: one for one in found}


@pytest.mark.parametrize(
    ("splits", "ids"),
    [
        (
            {"train": items([0.1, 0.2]), "test": items([0.3])},
            ["train-00000000", "00000001", "test-00000000"],
        ),
        (
            {"train": items([0.1, 0.2], "audio.wav"), "validation": items([0.3], "audio.wav")},
            ["train-00000000-audio", "train-00000001-audio", "validation-00000000-audio"],
        ),
        ({"": items([0.1, 0.2], "audio.wav")}, ["00000000-audio", "00000001-audio"]),
        (
            {"train": items([0.1, 0.2], id=[0, 1]), "test": items([0.3], id=[0])},
            ["train-00000000-0", "1", "test-00000000-0"],
        ),
        (
            {"train": items([0.1, 0.2, 0.3], "x.wav", id=["s1", "s1", None])},
            ["train-00000000-s1", "train-00000001-s1", "x"],
        ),
        ({"train": items([0.1, 0.2], id=["a", "A"])}, ["a", "A"]),
        ({"train": items([0.1, 0.2], id=["a/b", "a-b"])}, ["a/b", "a-b"]),
        ({"": items([0.1, 0.2])}, ["00000000", "00000001"]),
    ],
)
def test_ids_are_unique_and_the_same_in_every_run(
    splits: Mapping[str, Items], ids: Sequence[str], tmp_path: Path
) -> None:
    source = saved(tmp_path / "dataset", splits)
    assert [*read(source, tmp_path / "one")] == [*read(source, tmp_path / "elsewhere/two")] == ids
    assert len({str(one.audio_filepath).casefold() for one in read(source, tmp_path / "one").values()}) == len(ids)


def test_a_column_of_ids_is_chosen(tmp_path: Path) -> None:
    source = saved(tmp_path / "dataset", {"train": items([0.1, 0.2], "audio.wav", id=[7, 7], key=["k1", "k2"])})
    assert [*read(source, tmp_path, {"id": "key"})] == ["k1", "k2"]
    with pytest.raises(DataError, match=r"dataset, train, row 1: the id '7' occurs twice, first in .*, train, row 0"):
        read(source, tmp_path, {"id": "id"})
    with pytest.raises(ConfigError, match="say which is the id"):
        read(source, tmp_path, {"id": "nothing"})


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"text": "YES", "audio": {"bytes": None, "path": None}}, "row 1: it has no audio"),
        ({"text": "YES", "audio": {"bytes": None, "path": "gone.wav"}}, "gone.wav does not exist"),
        ({"text": "YES", "audio": {"bytes": b"junk", "path": "a.wav"}}, "a.wav cannot be decoded"),
        ({"text": "YES", "audio": {"bytes": None, "path": "hf://datasets/x/a.wav"}}, "is an address"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(item: Mapping[str, Any], said: str, tmp_path: Path) -> None:
    source = saved(tmp_path / "dataset", {"train": [*items([0.1], "b.wav"), item]})
    with pytest.raises(DataError) as caught:
        read(source, tmp_path)
    assert said in str(caught.value) and "train, row 1" in str(caught.value)


def test_a_text_that_is_a_number_is_named(tmp_path: Path) -> None:
    rows = [{**one, "text": 7} for one in items([0.1])]
    with pytest.raises(DataError, match="train, row 0: its text is 7, not a string"):
        read(saved(tmp_path / "dataset", {"train": rows}), tmp_path)


def test_a_dataset_as_the_hub_has_it_is_told_how_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "hub/data").mkdir(parents=True)
    datasets.Dataset.from_list([*items([0.1, 0.2])]).to_parquet(str(tmp_path / "hub/data/train-00000-of-00001.parquet"))
    with pytest.raises(ConfigError, match=r"a folder with 1 \.parquet, is none of") as caught:
        read(tmp_path / "hub", tmp_path)
    (remedy,) = shlex.split(str(caught.value).rpartition("python -c ")[2])
    exec(remedy)
    assert [*read(tmp_path / "dataset", tmp_path)] == ["00000000", "00000001"]


def test_audio_may_be_a_column_of_bytes(tmp_path: Path) -> None:
    rows = [{"audio": sound(0.1), "text": "0.1"}, {"audio": sound(0.2), "text": "0.2"}]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "dataset"))
    assert [*read(tmp_path / "dataset", tmp_path)] == ["00000000", "00000001"]


@pytest.mark.parametrize("empty", ["validation", "test"])
def test_a_split_without_rows_is_named(empty: str, tmp_path: Path) -> None:
    """The library itself cannot read what it saved."""
    full = datasets.Dataset.from_list([{"audio": "a.wav", "text": "YES"}])
    datasets.DatasetDict({"train": full, empty: full.select([])}).save_to_disk(str(tmp_path / "d"))
    with pytest.raises(DataError, match=f"the split '{empty}' has no row.*: remove its folder, and its name in"):
        read(tmp_path / "d", tmp_path / "audio")
