"""The tokenizer of single characters."""

import json
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from asr.common.errors import ConfigError, DataError
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.protocol import BLANK, BLANK_SYMBOL, FILE, SPACE_SYMBOL


class CharTokenizer:
    """A token for each character of an alphabet, in its order.

    Characters are Unicode code points, compared exactly: a combining mark is a character of its own, and texts must
    have the normalization form of the alphabet.

    Raises:
        ConfigError: The alphabet, the space included, is empty or has a character twice.
    """

    def __init__(self, alphabet: str) -> None:
        check_alphabet(alphabet)
        self.alphabet = alphabet
        self._tokens = {character: token for token, character in enumerate(alphabet, start=BLANK + 1)}
        self._texts = ("", *alphabet)

    @classmethod
    def build(cls, config: TokenizerConfig, texts: Sequence[str]) -> Self:
        """The tokenizer of a configuration."""
        return cls(alphabet_of(config.alphabet, texts))

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """Restores a tokenizer from the content of the file that `save` wrote."""
        if not isinstance(saved["alphabet"], str):
            raise TypeError("its alphabet is not a string")
        return cls(saved["alphabet"])

    @property
    def size(self) -> int:
        return len(self._texts)

    @property
    def symbols(self) -> Sequence[str]:
        return [BLANK_SYMBOL, *(SPACE_SYMBOL if text == " " else text for text in self._texts[1:])]

    @property
    def separator(self) -> int | None:
        return self._tokens.get(" ")

    def encode(self, text: str) -> list[int]:
        check_text(text, self._tokens)
        return [self._tokens[character] for character in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join([self._texts[token] for token in tokens])

    def save(self, folder: Path) -> None:
        saved = {"kind": TokenizerKind.char.value, "alphabet": self.alphabet}
        (folder / FILE).write_text(json.dumps(saved) + "\n", encoding="utf-8")


def alphabet_of(given: str | None, texts: Iterable[str]) -> str:
    """The alphabet of a configuration; where that is null, the sorted characters of the training transcripts.

    Raises:
        ConfigError: There are no transcripts either.
    """
    if given is not None:
        return given
    characters = set().union(*texts)
    if not characters:
        raise ConfigError("tokenizer.alphabet is null, and there are no training transcripts to take it from: set it.")
    return "".join(sorted(characters | {" "}))


def check_alphabet(alphabet: str) -> None:
    """Refuses an alphabet that is empty or has a character twice.

    Raises:
        ConfigError: It is, or has one.
    """
    if not alphabet:
        raise ConfigError("tokenizer.alphabet is empty: give the characters that transcripts may contain.")
    twice = [character for character, count in Counter(alphabet).items() if count > 1]
    if twice:
        raise ConfigError(f"tokenizer.alphabet has the character {_named(twice[0])} twice: give each once.")


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
