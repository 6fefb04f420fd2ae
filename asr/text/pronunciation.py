"""Pronunciation: lexicons, and eSpeak NG's rules for words that are not in one, in about a hundred languages.

The package espeakng_loader contains the library, which is called through ctypes, and its voices, so nothing is
downloaded. It is under the GPL and not part of this package: `pip install 'asr[phones]'` brings it.
"""

import ctypes
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from asr.common.errors import ConfigError, DataError
from asr.common.files import lines_of
from asr.common.optional import optional
from asr.settings.text import Case
from asr.text.normalization import change_case

Phones = tuple[str, ...]

ARPABET = frozenset([
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
])  # fmt: skip
COMMENTS = (";;;", "#")
ALTERNATIVE = re.compile(r"(.+)\(\d+\)")
SILENCE = re.compile(r"!SIL|<.*>")
"""Entries for silence, noise and unknown words in Kaldi's lexicons."""


def read_lexicon(path: Path) -> dict[str, Phones]:
    """The phones of each word; of several pronunciations the first.

    The stress of ARPAbet's vowels, as in AH0, is removed; other phones that end in a digit stay.

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
                f"{path}, line {place}: the word {word!r} has no phones: write them after it, separated by spaces."
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
    """SHA-256 of a lexicon, which the identity of a run has in place of its path.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(lexicon).expanduser()
    _require(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def in_case_of(texts: Iterable[str]) -> Callable[[str], str]:
    """The case that a lexicon's words need to match transcripts: upper or lower like those, else unchanged."""
    texts = list(texts)
    if all(text == text.upper() for text in texts):
        return str.upper
    return str.lower if all(text == text.lower() for text in texts) else str


def _require(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(
            f"No lexicon at tokenizer.lexicon={path}: give a file with a word and its phones on each line."
        )


# speak_lib.h of eSpeak NG
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_IPA_BETWEEN_UNDERSCORES = 0x02 | ord("_") << 8

STRESS = str.maketrans("", "", "\u02c8\u02cc")
ANOTHER_LANGUAGE = re.compile(r"\([^)]*\)")
"""eSpeak NG's mark of a word that it takes for a foreign one."""

TO_ARPABET = {
    "\u0251\u02d0": "AA", "\u0251": "AA", "\u00e6": "AE", "\u028c": "AH", "\u0259": "AH", "\u0250": "AH",
    "\u0254\u02d0": "AO", "\u0254": "AO", "o\u02d0": "AO", "a\u028a": "AW", "a\u026a": "AY", "b": "B", "t\u0283": "CH",
    "d": "D", "\u00f0": "DH", "\u025b": "EH", "\u025c\u02d0": "ER", "\u025a": "ER", "\u025d": "ER", "e\u026a": "EY",
    "f": "F", "\u0261": "G", "h": "HH", "\u026a": "IH", "\u1d7b": "IH", "i\u02d0": "IY", "i": "IY", "d\u0292": "JH",
    "k": "K", "l": "L", "m": "M", "n": "N", "\u014b": "NG", "o\u028a": "OW", "\u0259\u028a": "OW", "\u0254\u026a": "OY",
    "p": "P", "\u0279": "R", "r": "R", "s": "S", "\u0283": "SH", "t": "T", "\u027e": "T", "\u0294": "T",
    "\u03b8": "TH", "\u028a": "UH", "u\u02d0": "UW", "u": "UW", "v": "V", "w": "W", "\u028d": "W", "j": "Y", "z": "Z",
    "\u0292": "ZH", "x": "K", "\u026c": "L", "e": "EH", "a": "AE", "\u0252": "AA", "\u02d0": "", "\u0329": "AH",
}  # fmt: skip
"""The sounds of English in eSpeak NG's IPA."""

_SOUNDS = re.compile("|".join(sorted(map(re.escape, TO_ARPABET), key=len, reverse=True)))


def pronounce(word: str, language: str) -> Phones:
    """The phones of a word in the International Phonetic Alphabet, without stress.

    Args:
        language: As eSpeak NG names it: en-us, de, tr, ru.

    Raises:
        ConfigError: eSpeak NG is not installed, or has no such language.
        DataError: It has no pronunciation for the word.
    """
    library = _library()
    # Each time, because another use of the library in this process may have chosen another voice.
    if library.espeak_SetVoiceByName(language.encode()) != 0:
        raise ConfigError(
            f"tokenizer.g2p={language} is not a language of eSpeak NG: give one, such as en-us, de, tr or ru."
        )
    # It would spell capitals.
    text = ctypes.create_string_buffer(change_case(word, Case.lower, language).encode())
    rest = ctypes.c_void_p(ctypes.addressof(text))
    said = []
    while rest.value:
        said.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA_BETWEEN_UNDERSCORES).decode())
    sounds = ANOTHER_LANGUAGE.sub("", " ".join(said).translate(STRESS)).replace(" ", "_").split("_")
    phones = tuple(sound for sound in sounds if any(letter.isalnum() for letter in sound))
    if not phones:
        raise DataError(f"eSpeak NG has no pronunciation for the word {word!r} in the language {language}.")
    return phones


def as_arpabet(phones: Phones, word: str) -> Phones:
    """English phones of the International Phonetic Alphabet in ARPAbet, without stress.

    Raises:
        DataError: One of them is not English.
    """
    written = []
    for phone in phones:
        sounds = _SOUNDS.findall(phone)
        if "".join(sounds) != phone:
            raise DataError(f"The word {word!r} has the sound {phone!r} in eSpeak NG, which ARPAbet does not have.")
        letters = [TO_ARPABET[sound] for sound in sounds]
        # A syllabic consonant has a mark after it; ARPAbet writes a vowel before it.
        written += ["AH", *letters[:-1]] if sounds[-1] == "\u0329" else letters
    return tuple(letter for letter in written if letter)


@functools.cache
def _library() -> Any:
    loader = optional("espeakng_loader", "phones")
    library: Any = ctypes.CDLL(loader.get_library_path())
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(loader.get_data_path()), _DONT_EXIT)
    return library
