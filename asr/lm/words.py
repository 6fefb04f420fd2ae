"""Words as the tokens of a language model."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from asr.errors import DataError
from asr.lm.counts import UNKNOWN
from asr.text.protocol import BLANK, BLANK_SYMBOL, FILE

KIND = "words"
UNKNOWN_TOKEN = BLANK + 1


class WordTokenizer:
    """A token for each word of a vocabulary, and one for all others; see `asr.text.protocol.Tokenizer`.

    Args:
        words: The vocabulary.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.symbols = [BLANK_SYMBOL, UNKNOWN, *words]
        self._tokens = {word: token for token, word in enumerate(words, start=UNKNOWN_TOKEN + 1)}

    @classmethod
    def build(cls, sentences: Iterable[str], min_count: int) -> Self:
        """The words that occur so often, the most frequent first.

        Raises:
            DataError: There is none.
        """
        counts = Counter(word for sentence in sentences for word in sentence.split())
        words = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
        if not words:
            raise DataError(f"No word of the text occurs lm.min_count={min_count} times: lower it, or give more text.")
        return cls(words)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """The vocabulary that `save` wrote, from the content of its file."""
        return cls([str(word) for word in saved["words"]])

    @property
    def size(self) -> int:
        return len(self.symbols)

    @property
    def separator(self) -> None:
        """Words stand side by side."""
        return None

    def encode(self, text: str) -> list[int]:
        return [self._tokens.get(word, UNKNOWN_TOKEN) for word in text.split()]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(self.symbols[token] for token in tokens if token != BLANK)

    def save(self, folder: Path) -> None:
        content = {"kind": KIND, "words": self.symbols[UNKNOWN_TOKEN + 1 :]}
        (folder / FILE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
