"""Pronouncing dictionaries: words and their phones, as the CMU dictionary and Kaldi's lexicons have them."""

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from asr.data.sources.rows import lines_of
from asr.errors import ConfigError, DataError

Phones = tuple[str, ...]

ARPABET = frozenset([
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
])  # fmt: skip
COMMENTS = (";;;", "#")
ALTERNATIVE = re.compile(r"(.+)\(\d+\)")
SILENCE = re.compile(r"!SIL|<.*>")
"""What stands for silence, noise and unknown words in Kaldi's lexicons."""


def read_lexicon(path: Path) -> dict[str, Phones]:
    """The phones of each word; of several pronunciations the first.

    The stress of ARPAbet's vowels, as in AH0, is taken off; whatever else ends in a digit stays as it is.

    Raises:
        ConfigError: There is no such file.
        DataError: A line has no phones, or the file has no words; names the line.
    """
    _require(path)
    words: dict[str, Phones] = {}
    for place, line in lines_of(path):
        if line.startswith(COMMENTS):
            continue
        word, *phones = line.split(" #")[0].split()
        if not phones:
            raise DataError(
                f"{path}, line {place}: the word {word!r} has no phones: write them behind it, with spaces."
            )
        alternative = ALTERNATIVE.fullmatch(word)
        if not SILENCE.fullmatch(word):
            words.setdefault(alternative[1] if alternative else word, tuple(phones))
    if not words:
        raise DataError(f"The lexicon {path} has no words: give a file with a word and its phones on each line.")
    if {phone.rstrip("012") for phones in words.values() for phone in phones} <= ARPABET:
        words = {word: tuple(phone.rstrip("012") for phone in phones) for word, phones in words.items()}
    return words


def lexicon_checksum(lexicon: str) -> str:
    """SHA-256 of a lexicon: what a run's identity has in place of its path.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(lexicon).expanduser()
    _require(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def in_case_of(texts: Iterable[str]) -> Callable[[str], str]:
    """How a lexicon's words must be written to stand in transcripts: in upper or lower case where those are, else as
    they are."""
    texts = list(texts)
    if all(text == text.upper() for text in texts):
        return str.upper
    return str.lower if all(text == text.lower() for text in texts) else str


def _require(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(
            f"No lexicon at tokenizer.lexicon={path}: give a file with a word and its phones on each line."
        )
