"""LJ Speech: one woman reads seven books, 13,100 clips at 22,050 Hz with their transcripts."""

import unicodedata
from pathlib import Path

from asr.common.errors import DataError
from asr.common.files import lines_of
from asr.common.seeds import derive_seed
from asr.data.archives import fetch_archive, unpack
from asr.data.formats.rows import Row, utterances_of
from asr.data.own import finish
from asr.settings.root import Config
from asr.settings.text import Case, TextConfig
from asr.text.normalization import normalize

ARCHIVE = "LJSpeech-1.1.tar.bz2"
URL = f"https://data.keithito.com/data/speech/{ARCHIVE}"
SHA256 = "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"  # as torchaudio has it
SPEAKER = "lj"

HELD_OUT = {"test": 500, "dev": 500}
TEXT = TextConfig(normalize=True, language="en", case=Case.upper, numbers=False)


def prepare(config: Config, archives: Path, output: Path) -> None:
    """Reads the publisher's table; test and dev are clips in an order drawn from their ids."""
    folder = unpack(fetch_archive(ARCHIVE, archives, URL, SHA256), output / "original") / "LJSpeech-1.1"
    read = sorted(rows(folder), key=lambda row: derive_seed("ljspeech", row.audio.stem))
    splits, begin = {}, 0
    for split, count in HELD_OUT.items():
        splits[split], begin = read[begin : begin + count], begin + count
    utterances = utterances_of(splits | {"train": read[begin:]}, folder)
    finish(config, {split: utterances[split] for split in (*HELD_OUT, "train")}, output)


def rows(folder: Path) -> list[Row]:
    """Reads ID|TEXT|TEXT WITH NUMBERS IN WORDS."""
    found = []
    for place, line in lines_of(folder / "metadata.csv"):
        fields = line.split("|")
        if len(fields) != 3:
            raise DataError(f"{folder / 'metadata.csv'}, line {place}: {line!r} is not an id and two transcripts.")
        found.append(Row(folder / "wavs" / f"{fields[0]}.wav", transcript(fields[2]), SPEAKER))
    return found


def transcript(text: str) -> str:
    """English letters only: the accents of a few French and German words are removed."""
    letters = unicodedata.normalize("NFD", text)
    return normalize("".join(letter for letter in letters if not unicodedata.combining(letter)), TEXT)
