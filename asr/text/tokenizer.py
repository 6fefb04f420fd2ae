"""Tokenizers: text to the units that the model writes, and back. Token 0 is always the blank of CTC."""

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from asr.errors import ConfigError, DataError, RunError
from asr.text.config import TokenizerConfig, TokenizerKind

BLANK = 0
FILE = "tokenizer.json"


class Tokenizer(Protocol):
    """What every tokenizer can do."""

    @property
    def size(self) -> int:
        """How many tokens there are, the blank included: the width of the model's output."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, never the blank.

        Raises:
            DataError: The text cannot be written with these tokens.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; the blank writes nothing."""

    def save(self, folder: Path) -> None:
        """Writes tokenizer.json (data, never code) into an existing folder."""


class CharTokenizer:
    """A token for each character of an alphabet, in its order.

    Characters are Unicode code points, compared as they stand: a combining mark is a character of its own, and a text
    must be in the normalization form of the alphabet.

    Args:
        alphabet: The characters, the space included.

    Raises:
        ConfigError: The alphabet is empty or holds a character twice.
    """

    def __init__(self, alphabet: str) -> None:
        if not alphabet:
            raise ConfigError("tokenizer.alphabet is empty: give the characters that may stand in transcripts.")
        twice = [character for character, count in Counter(alphabet).items() if count > 1]
        if twice:
            raise ConfigError(f"tokenizer.alphabet holds the character {_named(twice[0])} twice: give each once.")
        self.alphabet = alphabet
        self._tokens = {character: token for token, character in enumerate(alphabet, start=BLANK + 1)}
        self._texts = ("", *alphabet)

    @classmethod
    def build(cls, config: TokenizerConfig) -> Self:
        """The tokenizer that a configuration asks for."""
        return cls(config.alphabet)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """The tokenizer that `save` wrote, from the content of its file."""
        if not isinstance(saved["alphabet"], str):
            raise TypeError("its alphabet is no string")
        return cls(saved["alphabet"])

    @property
    def size(self) -> int:
        return len(self._texts)

    def encode(self, text: str) -> list[int]:
        try:
            return [self._tokens[character] for character in text]
        except KeyError as error:
            unknown = _named(error.args[0])
            raise DataError(
                f"The character {unknown} is not in tokenizer.alphabet: add it there or change the transcript."
            ) from None

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join([self._texts[token] for token in tokens])

    def save(self, folder: Path) -> None:
        saved = {"kind": TokenizerKind.char.value, "alphabet": self.alphabet}
        (folder / FILE).write_text(json.dumps(saved) + "\n", encoding="utf-8")


TOKENIZERS = {TokenizerKind.char: CharTokenizer}


def build_tokenizer(config: TokenizerConfig) -> Tokenizer:
    """Builds the tokenizer of a configuration.

    Raises:
        ConfigError: The alphabet is empty or holds a character twice.
    """
    return TOKENIZERS[config.kind].build(config)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Reads back the tokenizer that `save` wrote into a folder.

    Raises:
        RunError: There is none, or the file is damaged.
    """
    path = folder / FILE
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return TOKENIZERS[TokenizerKind(saved["kind"])].load(saved)
    except OSError as error:
        raise RunError(f"No tokenizer can be read at {path} ({error.strerror}): give a whole model folder.") from None
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise RunError(f"{path} is not a tokenizer ({error}): copy the model folder again.") from None


def _named(character: str) -> str:
    name = unicodedata.name(character, "unnamed")
    return f"{character!r} (U+{ord(character):04X}, {name})"
