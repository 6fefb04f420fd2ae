"""The characters that may stand in transcripts."""

import unicodedata
from collections import Counter
from collections.abc import Container

from asr.errors import ConfigError, DataError


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
