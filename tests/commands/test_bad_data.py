"""Archives, manifests and audio that cannot be used: a command ends with one sentence that names them."""

import json
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import soundfile

from asr.common.errors import DataError
from asr.data.archives import unpack
from tests.helpers.corpora import tones
from tests.helpers.refusals import TEXTS, Capture, refused, threads, write_tiny  # noqa: F401  a fixture among them

Mistake = Callable[[Path], object]
"""Spoils the prepared data in a folder."""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of the recipe `tiny`, which lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_tiny(tmp_path)


def rewrite(data: Path, split: str = "train", **fields: object) -> None:
    """Changes fields of the first utterance of a split."""
    manifest = data / f"{split}.jsonl"
    first, *rest = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(json.dumps(json.loads(first) | fields) + "\n" + "".join(rest))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def first_audio(data: Path) -> Path:
    return data / "audio" / "train-0.wav"


def as_8_khz(data: Path) -> None:
    text = TEXTS["train"][0]
    soundfile.write(first_audio(data), tones(text, 8000), 8000, subtype="PCM_16")
    rewrite(data, sampling_rate=8000)


def as_stereo(data: Path) -> None:
    waveform = tones(TEXTS["train"][0])
    soundfile.write(first_audio(data), np.stack([waveform, waveform], axis=1), 16000)


def with_nan(data: Path) -> None:
    waveform = tones(TEXTS["train"][0])
    waveform[5] = np.nan
    soundfile.write(first_audio(data), waveform, 16000, subtype="FLOAT")


@pytest.mark.parametrize("command", ["prepare", "run"])
def test_a_missing_archive_without_network(command: str, data: Path, monkeypatch: Any, capsys: Capture) -> None:
    def fail(*arguments: object, **options: object) -> NoReturn:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    monkeypatch.setenv("ASR_MIRRORS", "nowhere")
    (sentence,) = refused(capsys, command, "yesno").splitlines()
    assert "waves_yesno.tar.gz is on no mirror" in sentence
    assert "(no network): put waves_yesno.tar.gz into" in sentence


MISTAKES: list[tuple[str, Mistake, str]] = [
    ("cut", lambda data: cut(first_audio(data)), "the file ends after"),
    ("missing", lambda data: first_audio(data).unlink(), "the audio file is missing"),
    ("a header alone", lambda data: first_audio(data).write_bytes(b"RIFF"), "cannot be decoded"),
    ("8 kHz", as_8_khz, "8000 Hz"),
    ("stereo", as_stereo, "the file has 2 channels"),
    ("NaN", with_nan, "values that are not finite"),
    ("no length", lambda data: rewrite(data, duration=0.001), "train-0"),
    ("a foreign letter", lambda data: rewrite(data, text="NÖ"), "The character 'Ö'"),
    ("no text", lambda data: rewrite(data, text=" "), "the transcript is empty"),
    ("too much text", lambda data: rewrite(data, text="YES " * 50), "CTC needs"),
]
OF_TEXT = MISTAKES[-3:]
"""Features can be extracted all the same."""


@pytest.mark.parametrize("commands", ["check train", pytest.param("extract run", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "mistake", "sentence"), MISTAKES, ids=[name for name, *_ in MISTAKES])
def test_an_utterance_that_cannot_be_used(
    name: str, mistake: Mistake, sentence: str, commands: str, data: Path, capsys: Capture
) -> None:
    mistake(data)
    of_text = name in [each for each, *_ in OF_TEXT]
    for command in commands.split():
        if command != "extract" or not of_text:
            printed = refused(capsys, command, "tiny")
            assert sentence in printed
            assert "Utterance train-0" in printed
    if "extract" in commands and not of_text:
        assert sentence in refused(capsys, "train", "tiny", "features.source=online")


def test_every_command_names_an_utterance_that_cannot_be_used(data: Path, capsys: Capture) -> None:
    cut(first_audio(data))
    for arguments in ("check", "extract", "train", "run", "train features.source=online"):
        command, *overrides = arguments.split()
        assert "Utterance train-0" in refused(capsys, command, "tiny", *overrides)


@pytest.mark.parametrize("command", ["prepare", "check", "extract", "train", "evaluate", "run"])
def test_a_missing_manifest(command: str, data: Path, capsys: Capture) -> None:
    (data / "dev.jsonl").unlink()
    assert ("dev.jsonl" if command not in ("prepare", "run") else "prepare.py") in refused(capsys, command, "tiny")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00\n", "line 1: not a JSON object"),
        (b"[1, 2]\n", "line 1: not a JSON object"),
        (b"", "is empty: delete it"),
    ],
)
def test_a_manifest_of_garbage(content: bytes, sentence: str, data: Path, capsys: Capture) -> None:
    (data / "train.jsonl").write_bytes(content)
    for command in ("prepare", "check", "extract", "train", "run"):
        assert sentence in refused(capsys, command, "tiny")


@pytest.mark.parametrize(
    "fields", [{"duration": float("nan")}, {"duration": float("inf")}, {"duration": 0}, {"offset": float("nan")}]
)
def test_an_utterance_of_no_length(fields: dict[str, Any], data: Path, capsys: Capture) -> None:
    rewrite(data, **fields)
    assert "line 1: duration and sampling_rate must be above 0" in refused(capsys, "check", "tiny")


def test_an_id_that_stands_twice(data: Path, capsys: Capture) -> None:
    rewrite(data, id="train-1")
    assert "line 2: the id 'train-1' occurs twice" in refused(capsys, "check", "tiny")


def test_damage_inside_an_archive_is_found(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.tar.gz", tmp_path / "damaged.tar.gz"
    (tmp_path / "file").write_bytes(bytes(10_000))
    with tarfile.open(whole, "w:gz", compresslevel=0) as tar:
        for number in range(3):
            tar.add(tmp_path / "file", f"corpus/file-{number}")
    # tarfile alone takes the second header, now damaged, for the end of the archive.
    damaged.write_bytes(whole.read_bytes().replace(b"corpus/file-1", b"corpus/evil-1"))
    assert len(list(unpack(whole, tmp_path / "good").rglob("file-*"))) == 3
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(damaged, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("field", ["id", "text", "audio_filepath"])
def test_half_a_character_in_a_manifest(field: str, data: Path, capsys: Capture) -> None:
    rewrite(data, **{field: "\ud800"})
    assert f"{field!r} contains an incomplete character" in refused(capsys, "check", "tiny")
