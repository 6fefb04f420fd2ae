"""Odd values and files in sources are refused where they stand, or left alone, before anything is written."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.common.errors import ConfigError, DataError
from asr.data.audio_paths import files_below
from asr.data.formats import audio_folder
from asr.data.formats.kaldi_names import ORIGINALS, read_originals
from asr.data.formats.reading import find_format, read_source
from asr.data.manifest import write_manifest
from asr.data.utterance import LONGEST_LINE, Utterance
from asr.settings.data import DataConfig, SourceFormat
from tests.helpers.corpora import write_utterance


def read(source: Path, **columns: str) -> list[Utterance]:
    config = DataConfig(
        sampling_rate=16000, mixture={"train": 1.0}, source=str(source), format=SourceFormat.auto, columns=columns,
        license=None, held_out=0.1, convert=False,
    )  # fmt: skip
    return [one for part in read_source(config, source.parent / "audio").values() for one in part]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a.wav."""
    write_utterance(tmp_path / "a.wav", "YES")
    return tmp_path


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"duration": 10**400}, "the duration is '1000"),
        ({"offset": True}, "the offset is 'True'"),
        ({"duration": {}}, "the duration is '{}'"),
        ({"speaker": {"name": "a"}}, "the speaker is {'name': 'a'}"),
        ({"id": [1]}, "the id is [1]"),
        ({"id": True}, "the id is True"),
        ({"id": "a\0b"}, "its id has the character NUL, 'a\\x00b'"),
        ({"speaker": "\0"}, "its speaker has the character NUL"),
        ({"text": "Y" * LONGEST_LINE}, "its text has 1,048,576 characters, 'YYY"),
        ({"audio_filepath": "."}, "is a folder and no file"),
        ({"audio_filepath": "pipe"}, "is a pipe or a device and no file"),
        ({"audio_filepath": "linked.wav"}, "is a pipe or a device and no file"),
        ({"audio_filepath": "/dev/null"}, "is a pipe or a device and no file"),
    ],
)
def test_an_odd_value_in_json_is_refused_with_its_line(row: dict[str, Any], said: str, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "linked.wav").symlink_to("pipe")
    rows = [{"audio_filepath": "a.wav", "text": "YES", "id": "first"}, {"audio_filepath": "a.wav", "text": "YES"} | row]
    (folder / "m.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    with pytest.raises(DataError) as caught:
        read(folder / "m.jsonl")
    assert "m.jsonl, line 2: " in str(caught.value) and said in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("made", [os.mkfifo, lambda path: (os.mkfifo(f"{path}.pipe"), path.symlink_to(f"{path}.pipe"))])
def test_pipes_in_folders_are_no_audio_and_no_text(
    made: Callable[[Path], object], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a.txt").write_text("YES")
    made(folder / "b.wav")
    made(folder / "c.txt")
    (folder / "loop").symlink_to("loop")
    assert [row.audio.name for part in audio_folder.read(folder).values() for row in part] == ["a.wav"]
    assert "has pipes, sockets or devices, which are not read: b.wav" in caplog.text
    assert folder / "loop" in files_below(folder), "a link to nowhere is told as that"


@pytest.mark.parametrize("value", ["5", "null", '["a"]', '["a", "b", "c"]', '[1, "b"]', '["a", null]', "{}", "[1"])
def test_a_damaged_table_of_original_names_is_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / ORIGINALS).write_text(f'u1 ["a", "b"]\nu2 {value}\n')
    with pytest.raises(DataError, match="line 2: expected a name and"):
        read_originals(tmp_path)


@pytest.mark.parametrize(
    ("name", "header", "said"),
    [
        ("m.csv", "audio,text,Text", "has the columns text and Text: say which is the text"),
        ("m.csv", "Audio,audio ,text", "has the columns Audio and audio: say which is the audio"),
        ("m.tsv", "audio,text", "has a single column, 'audio,text', .* by tabs, or name it .csv"),
        ("m.csv", "audio text", "has a single column, 'audio text', .* by commas, semicolons, tabs or bars"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_named(name: str, header: str, said: str, folder: Path) -> None:
    values = ["a.wav"] + ["YES"] * header.count(",")
    (folder / name).write_text(f"{header}\n{','.join(values)}\n")
    with pytest.raises((ConfigError, DataError), match=said):
        read(folder / name)
    if name == "m.csv" and "Text" in header:
        assert [one.text for one in read(folder / name, text="Text")] == ["YES"]


def test_no_manifest_is_written_that_cannot_be_read(tmp_path: Path) -> None:
    utterance = Utterance("a", tmp_path / "a.wav", 0.0, 1.0, '"' * LONGEST_LINE, "", 16000)
    with pytest.raises(DataError, match=r"Utterance a .* would have"):
        write_manifest(tmp_path / "train.jsonl", [utterance])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["it's $HOME.parquet", "folder with 'quotes'"])
def test_the_program_that_reads_parquet_is_quoted_for_a_shell(name: str, tmp_path: Path) -> None:
    source = tmp_path / name
    (source if name.endswith(".parquet") else source / "train.parquet").parent.mkdir(exist_ok=True)
    (source if name.endswith(".parquet") else source / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError) as caught:
        find_format(source)
    python, flag, program = shlex.split(str(caught.value).partition("is written so by: ")[2])
    assert (python, flag) == ("python", "-c") and json.dumps(str(source)) in program
    compile(program, "program", "exec")
