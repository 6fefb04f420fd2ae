"""Odd values and files in sources are refused where they stand, or left alone, before anything is written."""

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lhotse
import pytest
import soundfile

from asr.common.errors import ConfigError, DataError
from asr.data.audio_paths import files_below
from asr.data.formats import audio_folder
from asr.data.formats.kaldi_names import ORIGINALS, read_originals
from asr.data.formats.reading import find_format, read_source
from asr.data.manifest import write_manifest
from asr.data.splits import complete_splits
from asr.data.utterance import LONGEST_LINE, Utterance
from asr.settings.compose import compose
from asr.settings.data import DataConfig, SourceFormat
from asr.settings.recipe import find_recipe
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"speaker": {"name": "a"}}, "the speaker is {'name': 'a'}; it must be a text or a number"),
        ({"id": True}, "the id is True; it must be a text or a number"),
        ({"text": 7}, "its text is 7; it must be a text"),
        ({"text": ["YES"]}, r"its text is \['YES'\]; it must be a text"),
    ],
)
def test_an_odd_value_in_cuts_is_refused_with_its_place(change: dict[str, Any], said: str, folder: Path) -> None:
    cuts = write_cuts(folder, change)
    with pytest.raises(DataError, match=f"cuts.jsonl, supervision 1: {said}"):
        read(cuts)


def test_cuts_may_have_numbers_for_names(folder: Path) -> None:
    (one,) = read(write_cuts(folder, {"speaker": 5, "id": 12}))
    assert (one.id, one.speaker) == ("12", "5")


def write_cuts(folder: Path, change: dict[str, Any]) -> Path:
    """A file of one cut, of which the supervision is changed."""
    recording = lhotse.Recording.from_file(folder / "a.wav")
    supervision = lhotse.SupervisionSegment("s", recording.id, 0, recording.duration, text="YES", speaker="x")
    (cut,) = lhotse.CutSet.from_manifests(
        lhotse.RecordingSet.from_recordings([recording]), lhotse.SupervisionSet.from_segments([supervision])
    )
    row = cut.to_dict()
    row["supervisions"][0] |= change
    (folder / "cuts.jsonl").write_text(f"{json.dumps(row)}\n")
    return folder / "cuts.jsonl"


@pytest.mark.parametrize("header", ["start,end", "start_time,end_time", "offset,end"])
def test_segments_of_a_table_end_where_it_says(header: str, folder: Path) -> None:
    seconds = read_seconds(folder / "a.wav")
    (folder / "m.csv").write_text(f"audio,text,{header}\na.wav,YES,0,0.1\na.wav,NO,0.1,{seconds}\n")
    assert [(one.offset, one.duration) for one in read(folder / "m.csv")] == [(0, 0.1), (0.1, seconds - 0.1)]
    (folder / "m.csv").write_text(f"audio,text,{header}\na.wav,YES,0.2,0.1\n")
    with pytest.raises(DataError, match=r"line 2: it ends at 0\.1 s, not after its start at 0\.2 s"):
        read(folder / "m.csv")


def test_a_duration_counts_before_an_end(folder: Path) -> None:
    (folder / "m.csv").write_text("audio,text,start,duration,end\na.wav,YES,0,0.1,0.2\n")
    assert [one.duration for one in read(folder / "m.csv")] == [0.1]


def read_seconds(path: Path) -> float:
    return float(soundfile.info(path).duration)


@pytest.mark.parametrize(
    ("names", "audio", "there"),
    [
        ("lists/m.jsonl", "clips/a.wav", "clips/a.wav"),
        ("corpus/validated.tsv", "corpus/clips/a.wav", "a.wav"),
        ("one/two/m.csv", "clips/a.wav", "clips/a.wav"),
    ],
)
def test_paths_that_are_seen_from_elsewhere_are_found_and_told(
    names: str, audio: str, there: str, tmp_path: Path
) -> None:
    write_utterance(tmp_path / audio, "YES")
    source = tmp_path / names
    source.parent.mkdir(parents=True, exist_ok=True)
    separator = "\t" if source.suffix == ".tsv" else ","
    lines = [json.dumps({"audio_filepath": there, "text": "YES"})]
    if source.suffix != ".jsonl":
        lines = [separator.join(("path", "sentence")), separator.join((there, "YES"))]
    source.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(DataError) as caught:
        read(source)
    said = str(caught.value)
    assert f"a.wav is at {tmp_path / audio}: move the file that names it, or correct the paths" in said
    source.rename(source.parent / "clips" / source.name if there == "a.wav" else tmp_path / source.name)
    assert len(read(source.parent / "clips" / source.name if there == "a.wav" else tmp_path / source.name)) == 1


def test_the_transcripts_of_librispeech_are_lines_of_a_file_for_each_chapter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for split in ("train-clean-5", "dev-clean", "test-other"):
        chapter = tmp_path / split / "11" / "7"
        for number in (0, 1):
            write_utterance(chapter / f"{split[0]}-11-{number}.wav", "YES")
        lines = [f"{split[0]}-11-{number} {split.upper()}  {number}" for number in (0, 1, 9)]
        (chapter / "11-7.trans.txt").write_text("".join(f"{line}\n" for line in lines))
    rows = audio_folder.read(tmp_path)
    assert {split: [(row.text, row.speaker) for row in part] for split, part in rows.items()} == {
        "dev": [("DEV-CLEAN 0", "11"), ("DEV-CLEAN 1", "11")],
        "test": [("TEST-OTHER 0", "11"), ("TEST-OTHER 1", "11")],
        "train": [("TRAIN-CLEAN-5 0", "11"), ("TRAIN-CLEAN-5 1", "11")],
    }
    assert f"3 lines of *.trans.txt have no audio beside them: {tmp_path / 'dev-clean/11/7/d-11-9'}" in caplog.text


def test_a_name_that_stands_twice_in_a_chapter_is_named_with_its_line(folder: Path) -> None:
    (folder / "c.trans.txt").write_text("a YES\na NO\n")
    with pytest.raises(DataError, match=r"c.trans.txt, line 2: a occurs twice"):
        audio_folder.read(folder)
    write_utterance(folder / "c.trans.wav", "YES")
    (folder / "a.txt").write_text("NO")
    assert [row.text for row in audio_folder.read(folder)[None]] == ["NO", "a YES a NO"], "of a file of that name"


@pytest.mark.parametrize(
    ("names", "lines"),
    [
        ("{}.jsonl", [json.dumps({"audio_filepath": "a.wav", "text": "YES"}), ""]),
        ("{}.csv", ["audio,text\na.wav,YES", "audio,text\n"]),
        ("{}.json", [json.dumps({"audio_filepath": "a.wav", "text": "YES"}), ""]),
    ],
)
def test_a_split_that_is_there_and_empty_is_told(
    names: str, lines: list[str], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        shutil.copy(folder / "a.wav", folder / f"{number}.wav")
    full, empty = lines
    more = [full.splitlines()[-1].replace("a.wav", f"{number}.wav") for number in (1, 2)]
    (folder / names.format("train")).write_text("\n".join([full, *more]) + "\n")
    (folder / names.format("dev")).write_text(empty)
    config = compose(find_recipe("own"), ["name=x", f"data.source={folder}"]).data
    splits = complete_splits(read_source(config, folder / "audio"), 0.1)
    assert [len(splits[split]) for split in ("train", "dev", "test")] == [1, 1, 1]
    assert "The source has dev without any utterance, held out of train now" in caplog.text
