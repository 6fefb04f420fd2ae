"""The tokenizer of single characters."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from asr.text.alphabet import alphabet_of, check_alphabet, check_text
from asr.text.config import TokenizerConfig, TokenizerKind
from asr.text.protocol import BLANK, BLANK_SYMBOL, FILE, SPACE_SYMBOL


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
        check_alphabet(alphabet)
        self.alphabet = alphabet
        self._tokens = {character: token for token, character in enumerate(alphabet, start=BLANK + 1)}
        self._texts = ("", *alphabet)

    @classmethod
    def build(cls, config: TokenizerConfig, texts: Sequence[str]) -> Self:
        """The tokenizer that a configuration asks for."""
        return cls(alphabet_of(config.alphabet, texts))

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """The tokenizer that `save` wrote, from the content of its file."""
        if not isinstance(saved["alphabet"], str):
            raise TypeError("its alphabet is no string")
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
