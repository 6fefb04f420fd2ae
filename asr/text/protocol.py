"""What every tokenizer can do. Token 0 is always the blank of CTC."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

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
