"""What every tokenizer can do. Token 0 is always the blank of CTC."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from asr.common.errors import DataError

BLANK = 0
BLANK_SYMBOL = "<blank>"
SPACE_SYMBOL = "\u2581"
"""Stands for a space in the symbols of tokens, as SentencePiece has it."""
FILE = "tokenizer.json"


class Tokenizer(Protocol):
    """What every tokenizer can do."""

    @property
    def size(self) -> int:
        """How many tokens there are, the blank included: the width of the model's output."""

    @property
    def symbols(self) -> Sequence[str]:
        """The written form of each token, without white space and all different; ▁ stands for a space."""

    @property
    def separator(self) -> int | None:
        """The token that only separates words, if there is one."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, never the blank.

        Raises:
            DataError: The text cannot be encoded with these tokens.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; the blank stands for nothing."""

    def save(self, folder: Path) -> None:
        """Writes tokenizer.json (data, never code) into an existing folder."""


def labels_of(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """The tokens of a transcript, None where the tokenizer cannot encode it."""
    try:
        return tokenizer.encode(text)
    except DataError:
        return None  # A transcript of test may have characters that the model does not know.
