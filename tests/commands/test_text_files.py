"""Text files of users: each command reads what editors of any system save, or says in one sentence why not."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from asr.common.errors import DataError
from asr.common.files import decoded_lines
from asr.data.formats import audio_folder, kaldi, nemo, table
from asr.inference.transcription import read_text_to_align
from asr.inference.transcription_jobs import find_recordings
from asr.lm.text import read_sentences
from asr.settings.recipe import find_recipe
from asr.settings.sweeps import expand_sweep
from asr.text.char import CharTokenizer
from asr.text.pronunciation import read_lexicon
from tests.helpers.corpora import tones

TEXT = "DÉJÀ ЖДЁШ\nYES NO\n"
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "Windows' line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "line ends of old Macs": lambda text: text.replace("\n", "\r").encode(),
    "Notepad": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "PowerShell": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "no last line end": lambda text: text.rstrip("\n").encode(),
}


def read_folder(path: Path) -> list[str]:
    soundfile.write(path.with_suffix(".wav"), tones("YES"), 16000)
    return [row.text for row in audio_folder.read(path.parent)[None]]


def read_kaldi(path: Path) -> list[str]:
    path.with_name("wav.scp").write_text("é /é.wav\n")
    return [row.text for rows in kaldi.read(path.parent).values() for row in rows]


def read_sweep(path: Path) -> list[str]:
    recipe = find_recipe("yesno")
    (path.parent / "sweep").mkdir()
    path.rename(path.parent / "sweep" / "mine.yaml")
    path.symlink_to(path.parent / "sweep" / "mine.yaml")
    return expand_sweep(type(recipe)(path.parent), ["sweep=mine"])[0]


READERS: dict[str, tuple[str, str, Callable[[Path], list[str]], list[str]]] = {
    "@list": (
        "ж.txt", "é.wav\nё ж.wav\n", lambda p: [*map(str, find_recordings([f"@{p}"], None))], ["é.wav", "ё ж.wav"],
    ),
    "--list": ("ж.txt", "é.wav\n", lambda p: [*map(str, find_recordings([], p))], ["é.wav"]),
    "text to align": (
        "t.txt", TEXT,
        lambda p: read_text_to_align(p, CharTokenizer(" DÉJÀЖДЁШYESNO"), normalized=False).split(), TEXT.split(),
    ),
    "sentences": ("t.txt", TEXT, lambda p: [*read_sentences(p)], ["DÉJÀ ЖДЁШ", "YES NO"]),
    "standard input": (
        "t.txt", TEXT, lambda p: [line.strip() for _, line in decoded_lines(p.open("rb"), str(p))],
        ["DÉJÀ ЖДЁШ", "YES NO"],
    ),
    "transcript": ("ж.txt", TEXT, read_folder, ["DÉJÀ ЖДЁШ YES NO"]),
    "lexicon": ("l.txt", "DÉJÀ d e j a\nYES j e s\n", lambda p: [*read_lexicon(p)], ["DÉJÀ", "YES"]),
    "table": ("t.csv", "path,text\nж.wav,DÉJÀ\n", lambda p: [r.text for r in table.read(p, {})[None]], ["DÉJÀ"]),
    "JSON lines": (
        "t.json", '{"audio_filepath": "é.wav", "text": "ЖДЁШ"}\n', lambda p: [r.text for r in nemo.read(p)[None]],
        ["ЖДЁШ"],
    ),
    "Kaldi's text": ("text", "é ЖДЁШ\n", read_kaldi, ["ЖДЁШ"]),
    "sweep": ("s.yaml", "parameters:\n  seed:\n    values: [1, 2]\n", read_sweep, ["seed=1,2"]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("reader", READERS)
def test_text_is_read_as_any_editor_saves_it(reader: str, encoding: str, tmp_path: Path) -> None:
    name, text, read, expected = READERS[reader]
    (tmp_path / name).write_bytes(ENCODINGS[encoding](text))
    assert read(tmp_path / name) == expected


UNREADABLE = {
    "Latin-1": ("CAFÉ\n".encode("latin-1"), "is not in UTF-8 (invalid continuation byte in line 1): save it in UTF-8"),
    "GBK": ("好\n".encode("gbk"), "is not in UTF-8 ("),
    "UTF-16 without a mark": ("YES\n".encode("utf-16-le"), "line 1: it has a NUL character, so it is no text, or"),
    "half of gzip": (gzip.compress(TEXT.encode())[:20], "is gzipped, but damaged"),
    "audio": (b"RIFF\x24\0\0\0WAVEfmt ", "it has a NUL character"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("reader", READERS)
def test_text_that_cannot_be_read_is_named(reader: str, kind: str, tmp_path: Path) -> None:
    name, _, read, _ = READERS[reader]
    content, sentence = UNREADABLE[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    place = tmp_path / "sweep/mine.yaml" if reader == "sweep" else tmp_path / name
    assert str(place) in str(caught.value) and sentence in str(caught.value)


@pytest.mark.parametrize(
    ("language", "tokens", "written", "read"),
    [
        ("tr", " aıiprst", "ISPARTA", "ısparta"),
        ("tr", " IİPRSTA", "ırıt iti", "IRIT İTİ"),
        ("de", " AESTRẞ", "Straße, Straße!", "STRAẞE STRAẞE"),
        (None, " AESTR", "Straße", "STRASSE"),
    ],
)
def test_a_text_to_align_follows_the_case_of_its_language(
    language: str | None, tokens: str, written: str, read: str, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(written, encoding="utf-8")
    tokenizer = CharTokenizer(tokens)
    assert read_text_to_align(tmp_path / "text.txt", tokenizer, normalized=True, language=language) == read
