"""The characters that may stand in transcripts."""

import unicodedata
from collections import Counter
from collections.abc import Container, Iterable

from asr.errors import ConfigError, DataError


def alphabet_of(given: str | None, texts: Iterable[str]) -> str:
    """The alphabet of a configuration; where it gives none, the characters of the training transcripts, sorted.

    Args:
        texts: The training transcripts.

    Raises:
        ConfigError: There is neither.
    """
    if given is not None:
        return given
    characters = set().union(*texts)
    if not characters:
        raise ConfigError("tokenizer.alphabet is null, and there are no training transcripts to take it from.")
    return "".join(sorted(characters | {" "}))


def check_alphabet(alphabet: str) -> None:
    """Refuses an alphabet that is empty or holds a character twice.

    Raises:
        ConfigError: It does.
    """
    if not alphabet:
        raise ConfigError("tokenizer.alphabet is empty: give the characters that may stand in transcripts.")
    twice = [character for character, count in Counter(alphabet).items() if count > 1]
    if twice:
        raise ConfigError(f"tokenizer.alphabet holds the character {_named(twice[0])} twice: give each once.")


def check_text(text: str, alphabet: Container[str]) -> None:
    """Refuses a text with a character outside the alphabet.

    Raises:
        DataError: Names the first such character and its code point.
    """
    for character in text:
        if character not in alphabet:
            raise DataError(
                f"The character {_named(character)} is not in tokenizer.alphabet: add it there or change the "
                "transcript."
            )


def _named(character: str) -> str:
    name = unicodedata.name(character, "unnamed")
    return f"{character!r} (U+{ord(character):04X}, {name})"
