"""Kaldi's scripts accept what is exported whatever the names are, and it reads back under its own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from asr.common.errors import DataError
from asr.data.formats import kaldi
from asr.data.utterance import Utterance
from tests.helpers.corpora import tones
from tests.helpers.kaldi_scripts import fix_data_dir, validate_data_dir

Names = Sequence[tuple[str, str]]
"""Id and speaker of each utterance."""

ODD: dict[str, Names] = {
    "no speaker": [("b", ""), ("a", ""), ("a-1", ""), ("a1", "")],
    "ids that begin with their speaker": [("spk1_000", "spk1"), ("spk10_001", "spk10"), ("spk1_001", "spk1")],
    "speakers that begin like another": [("x", "a"), ("y", "a-b"), ("z", "a+b"), ("w", "a b"), ("v", "a-b")],
    "a speaker that is an utterance": [("a", "a"), ("b", "a"), ("a-0", ""), ("a/1", "")],
    "some without speaker": [("a-1", "a"), ("a-5", ""), ("a-9", "a"), ("a", "")],
    "slashes and dots": [("1/2.wav", "s/1"), ("1/2", "s/1"), ("1.2", "s.1")],
    "spaces and tabs": [("a b", "Ada L"), ("a\tb", "Ada L"), ("a=20b", "Ada L"), ("a\u3000b", "Ada\u00a0L")],
    "control characters": [("a\x00b", "s\x7f"), ("a\x1bb", "s"), ("\ufeffc", "s")],
    "many scripts": [("日本", "話者"), ("日本1", "話者1"), ("یک‌دو", "گوینده"), ("Ä", "é")],
    "punctuation": [("!a", "#0"), ("<s>", "</s>"), ("-a", "-"), ("%20", "~"), ("a|", "|")],
    "case": [("a", "B"), ("B", "a"), ("b", "A"), ("A", "b")],
}


def corpus(folder: Path, names: Names, segments: bool = False) -> dict[str, list[Utterance]]:
    """An utterance for each name: whole files, or stretches of two recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (id, speaker) in enumerate(names):
        path = folder / (f"take {number % 2}.wav" if segments else f"{number}.wav")
        if not path.exists():
            soundfile.write(path, tones("ONE TWO TEN" if segments else "ONE", seed=number), 16000)
        offset = 0.1 * number if segments else 0.0
        found.append(Utterance(id, path, offset, 0.5, f"WORD {number}", speaker, 16000))
    return {"train": found, "test": found[:1]}


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("names", ODD.values(), ids=ODD)
def test_odd_names_are_exported_and_come_back(names: Names, segments: bool, tmp_path: Path) -> None:
    splits = corpus(tmp_path / "audio", names, segments)
    kaldi.export(splits, tmp_path / "out")
    for split, utterances in splits.items():
        assert validate_data_dir(tmp_path / "out" / split) == []
        assert fix_data_dir(tmp_path / "out" / split) == []
        rows = kaldi.read(tmp_path / "out")[split]
        assert {(row.id, row.speaker, row.text, row.audio) for row in rows} == {
            (one.id, one.speaker, one.text, one.audio_filepath) for one in utterances
        }


def test_names_that_kaldi_takes_stay(tmp_path: Path) -> None:
    splits = corpus(tmp_path / "audio", [("a-1", "a"), ("a-2", "a"), ("1", "b")])
    kaldi.export(splits, tmp_path / "out")
    assert (tmp_path / "out/train/utt2spk").read_text() == "a-1 a\na-2 a\nb-1 b\n"
    assert (tmp_path / "out/train/utt2original").read_text() == 'b-1 ["1", "b"]\n'
    assert not (tmp_path / "out/test/utt2original").exists()


def test_an_export_leaves_no_table_of_an_earlier_one(tmp_path: Path) -> None:
    names = [("1", "a"), ("2", "a")]
    kaldi.export(corpus(tmp_path / "first", names, segments=True), tmp_path / "out")
    kaldi.export(corpus(tmp_path / "second", [("a1", "a"), ("a2", "a")]), tmp_path / "out")
    assert validate_data_dir(tmp_path / "out/train") == []
    assert {path.name for path in (tmp_path / "out/train").iterdir()} == {"text", "utt2spk", "spk2utt", "wav.scp"}


@pytest.mark.parametrize("name", ["with a space.wav", "a:12", "end |.flac", "it's $HOME.wav", "日本.flac", "a b/c.sph"])
def test_odd_paths_are_exported_and_come_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "audio" / name
    path.parent.mkdir(parents=True)
    kind = {".flac": "FLAC", ".sph": "NIST"}.get(path.suffix, "WAV")
    soundfile.write(path, tones("ONE"), 16000, format=kind, subtype="PCM_16")
    kaldi.export({"train": [Utterance("a", path, 0.0, 0.5, "ONE", "", 16000)]}, tmp_path / "out")
    assert validate_data_dir(tmp_path / "out/train") == []
    (row,) = kaldi.read(tmp_path / "out")["train"]
    assert row.audio == path


def test_recordings_whose_names_repeat_have_different_ids(tmp_path: Path) -> None:
    utterances = []
    for number, name in enumerate(["x/a.wav", "y/a.wav", "z/a.1.wav", "a b.wav", "a_b.wav"]):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tones("ONE TWO", seed=number), 16000)
        utterances.append(Utterance(str(number), path, 0.1, 0.2, "ONE", "", 16000))
    kaldi.export({"train": utterances}, tmp_path / "out")
    assert validate_data_dir(tmp_path / "out/train") == []
    assert {row.audio for row in kaldi.read(tmp_path / "out")["train"]} == {one.audio_filepath for one in utterances}


@pytest.mark.parametrize(
    ("text", "named"), [("A\u00a0B", "U\\+00A0"), ("A \x1bB", "U\\+001B"), ("A <s> B", "<s>"), ("A\nB", "U\\+000A")]
)
def test_a_transcript_that_kaldi_refuses_is_named(text: str, named: str, tmp_path: Path) -> None:
    (utterance,) = corpus(tmp_path / "audio", [("a", "s")])["test"]
    with pytest.raises(DataError, match=rf"Utterance a .*Kaldi refuses {named} in a transcript: .*text.normalize=true"):
        kaldi.export({"train": [replace(utterance, text=text)]}, tmp_path / "out")


def change(name: str, edit: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(edit((folder / name).read_text()))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "unsorted": (change("text", lambda text: "".join(text.splitlines(keepends=True)[::-1])), "text: not"),
    "twice": (change("wav.scp", lambda text: text + text.splitlines(keepends=True)[-1]), "wav.scp: not sorted or"),
    "no last line end": (change("text", str.rstrip), "text: invalid newline"),
    "a third column": (change("utt2spk", lambda text: text.replace("\n", " x\n")), "utt2spk: wrong format"),
    "speakers in another order": (change("utt2spk", lambda text: text.replace(" b\n", " A\n")), "sorted first on"),
    "other speakers": (change("spk2utt", lambda text: text.replace("b ", "c ")), "spk2utt and utt2spk do not"),
    "an utterance without text": (change("text", lambda text: text.split("\n", 1)[1]), "text: other utterances"),
    "an utterance without audio": (change("wav.scp", lambda text: text.split("\n", 1)[1]), "wav.scp: other utterances"),
    "a hard space": (change("text", lambda text: text.replace("WORD", "WO\u00a0RD")), "text: disallowed white space"),
    "a carriage return": (
        lambda folder: (folder / "text").write_bytes((folder / "text").read_bytes().replace(b"\n", b"\r\n")),
        "text: disallowed white space",
    ),
    "an escape": (change("text", lambda text: text.replace("WORD", "\x1b")), "text: non-printable characters"),
    "a symbol": (change("text", lambda text: text.replace("WORD", "<s>")), "text: illegal symbol"),
    "a tilde": (change("wav.scp", lambda text: text.replace(" /", " ~/")), "wav.scp: a tilde"),
    "an empty file": (change("spk2utt", lambda text: ""), "spk2utt: no such file"),
    "an empty segment": (
        lambda folder: (folder / "segments").write_text("a-1 a-1 0 0.5\na-2 a-2 1 1\nb-1 b-1 0 0.5\n"),
        "segments: badly formatted",
    ),
    "a segment of no recording": (
        lambda folder: (folder / "segments").write_text("a-1 x 0 0.5\na-2 a-2 0 1\nb-1 b-1 0 0.5\n"),
        "wav.scp: other recordings",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_the_scripts_find_what_is_wrong(kind: str, tmp_path: Path) -> None:
    kaldi.export(corpus(tmp_path / "audio", [("a-1", "a"), ("a-2", "a"), ("b-1", "b")]), tmp_path / "out")
    spoil, complaint = BAD[kind]
    assert validate_data_dir(tmp_path / "out/train") == []
    spoil(tmp_path / "out/train")
    assert any(complaint in said for said in validate_data_dir(tmp_path / "out/train"))


def test_kaldi_refuses_the_ids_that_sort_otherwise_than_their_speakers(tmp_path: Path) -> None:
    (tmp_path / "utt2spk").write_text("spk10_001 spk10\nspk1_000 spk1\n")
    (tmp_path / "spk2utt").write_text("spk1 spk1_000\nspk10 spk10_001\n")
    for name in ("text", "wav.scp"):
        (tmp_path / name).write_text("spk10_001 /a\nspk1_000 /b\n")
    assert "utt2spk: not in sorted order when sorted first on speaker-id" in validate_data_dir(tmp_path)
    assert "utt2spk: not in sorted order when sorted first on speaker-id" in fix_data_dir(tmp_path)
