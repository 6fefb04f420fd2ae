"""Folders of audio are walked in one way: links are followed, loops end, what file systems leave is no audio."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from asr.common.errors import ConfigError, DataError
from asr.data.audio_paths import audio_below, files_below, foreign, is_leftover
from asr.data.conversion import convert
from asr.data.formats import audio_folder
from asr.data.recording import open_recording
from asr.data.splits import whole_file
from asr.features.noise_files import NoiseFiles, audio_files
from asr.inference.transcription_jobs import find_recordings
from tests.helpers.corpora import write_utterance


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def of_corpus(folder: Path) -> Sequence[Path]:
    return [row.audio for part in audio_folder.read(folder).values() for row in part]


WALKS: dict[str, Callable[[Path], Sequence[Path]]] = {
    "prepare": of_corpus,
    "transcribe": lambda folder: find_recordings([str(folder)], None),
    "noise": lambda folder: audio_files([str(folder)], "augment.noise"),
}
"""All that walks folders of audio."""


@pytest.mark.parametrize("walk", WALKS)
def test_linked_folders_are_read_and_leftovers_are_not(walk: str, tmp_path: Path) -> None:
    for path in (tmp_path / "corpus/a/one.wav", tmp_path / "elsewhere/b/two.wav"):
        write_utterance(path, "YES").audio_filepath.with_suffix(".txt").write_text("YES")
    (tmp_path / "corpus/b").symlink_to(tmp_path / "elsewhere/b")
    (tmp_path / "corpus/a/loop").symlink_to(tmp_path / "corpus")
    leftovers = ("a/._one.wav", "@eaDir/one.wav", "__MACOSX/a/one.wav", ".Trash-1000/files/old.wav", "b/._two.wav")
    touch(*(tmp_path / "corpus" / name for name in (*leftovers, "Thumbs.db", "a/.DS_Store", "desktop.ini")))
    assert [*WALKS[walk](tmp_path / "corpus")] == [tmp_path / "corpus/a/one.wav", tmp_path / "corpus/b/two.wav"]


@pytest.mark.parametrize(
    "name",
    ["._x.wav", ".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", "@eaDir", "__MACOSX", ".Trashes",
     "$RECYCLE.BIN", "System Volume Information", ".nfs000001", "lost+found"],
)  # fmt: skip
def test_what_file_systems_leave_is_known(name: str) -> None:
    assert is_leftover(name) and not is_leftover(f"a{name}")


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ({"top/loop": "top"}, ["a/x.wav"]),
        ({"top/a/up": "top/a"}, ["a/x.wav"]),
        ({"top/above": "."}, ["a/x.wav"]),
        ({"top/again": "top/a"}, ["a/x.wav"]),
        ({"top/b": "out", "out/back": "top"}, ["a/x.wav", "b/y.wav"]),
        ({"top/b": "out", "out/self": "out"}, ["a/x.wav", "b/y.wav"]),
        ({"top/b": "out", "top/c": "out"}, ["a/x.wav", "b/y.wav"]),
        ({"top/b": "first", "first": "out"}, ["a/x.wav", "b/y.wav"]),
        ({"top/b": "out/deep", "top/c": "out"}, ["a/x.wav", "b/z.wav", "c/y.wav"]),
    ],
)
def test_each_folder_is_walked_once(links: dict[str, str], found: list[str], tmp_path: Path) -> None:
    touch(tmp_path / "top/a/x.wav", tmp_path / "out/y.wav")
    if "out/deep" in links.values():
        touch(tmp_path / "out/deep/z.wav")
    for link, target in links.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    walked = [path.relative_to(tmp_path / "top").as_posix() for path in files_below(tmp_path / "top")]
    assert sorted(walked) == found


def test_links_that_are_not_followed_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path / "top/a/x.wav")
    (tmp_path / "top/again").symlink_to(tmp_path / "top/a")
    (tmp_path / "top/gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "top/SPEAKER").symlink_to(tmp_path / "unmounted")
    (tmp_path / "top/self").symlink_to(tmp_path / "top/self")
    with caplog.at_level(logging.WARNING, logger="asr"):
        assert len([*audio_below(tmp_path / "top")]) == 2, "a link to nowhere is a file that is missing"
    first, second = (record.getMessage() for record in caplog.records)
    assert "1 links to folders that are read anyway" in first and "top/again" in first
    assert "3 links to files that do not exist" in second and "top/SPEAKER" in second and "top/gone.wav" in second


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a/x.wav")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"The folder .*/a cannot be read \(Permission denied\)"):
        [*files_below(tmp_path)]


def test_a_folder_with_nothing_but_leftovers_has_no_audio(tmp_path: Path) -> None:
    touch(tmp_path / "top/__MACOSX/._x.wav", tmp_path / "top/.DS_Store")
    assert not audio_folder.matches(tmp_path / "top")
    with pytest.raises(ConfigError, match="holds no audio"):
        WALKS["transcribe"](tmp_path / "top")
    with pytest.raises(ConfigError, match="contains no audio"):
        WALKS["noise"](tmp_path / "top")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("https://host/a.wav", "is an address"),
        ("s3://bucket/a.wav", "is an address"),
        ("file:///data/a.wav", "without file://"),
        ("/here/https:/host/a.wav", "is an address"),  # as Path makes of it
        (r"clips\a.wav", "write clips/a.wav"),
        (r"C:\clips\a.wav", "a path of Windows"),
        ("D:/clips/a.wav", "a path of Windows"),
        ("a\0.wav", "a character that no path has"),
        ("clips/a.wav", None),
        ("~/clips/12:30.wav", None),
    ],
)
def test_paths_of_elsewhere_are_told_from_paths(written: str, said: str | None) -> None:
    fault = foreign(written)
    assert fault is None if said is None else said in (fault or "")


@pytest.mark.parametrize("written", ["https://host/a.wav", r"clips\a.wav"])
def test_a_recording_of_elsewhere_is_not_just_missing(written: str) -> None:
    with pytest.raises(DataError, match=r"is an address|has backslashes"), open_recording(Path(written), 16000):
        pass


def test_all_damaged_files_are_named_together(tmp_path: Path) -> None:
    for name in "abc":
        write_utterance(tmp_path / f"{name}.wav", "YES")
    whole = [whole_file(tmp_path / f"{name}.wav", "YES", "") for name in "abc"]
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"2 of 3 recordings of augment\.noise cannot .*a\.wav.*b\.wav.*: replace"):
        NoiseFiles([str(tmp_path)], "augment.noise")
    with pytest.raises(DataError, match=r"2 of 3 utterances of train cannot .*a\.wav.*b\.wav.*: replace"):
        convert({"train": whole}, tmp_path / "out", 16000)
