"""Where speech is in a recording, as the text of an utterance: "0.31-1.02 1.38-2.11" in seconds; none is empty."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from asr.common.errors import DataError
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.protocol import BLANK_SYMBOL, FILE

Spans = Sequence[tuple[float, float]]
"""Begin and end of each stretch of speech (s), in order and without overlap."""
NO_SPEECH, SPEECH = 0, 1
"""The labels of frames."""
SPAN = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def read_spans(text: str) -> Spans:
    """The stretches of speech that a text names.

    Raises:
        DataError: It names something else.
    """
    spans: list[tuple[float, float]] = []
    for item in text.split():
        found = SPAN.fullmatch(item)
        begin, end = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
        if not begin < end or (spans and begin < spans[-1][1]):
            raise DataError(
                f"{item!r} is no stretch of speech behind the one before it: with tokenizer=speech a text is begins "
                "and ends in seconds, as 0.31-1.02 1.38-2.11."
            )
        spans.append((begin, end))
    return spans


def written_spans(spans: Spans) -> str:
    """Stretches of speech as a text."""
    return " ".join(f"{begin:.2f}-{end:.2f}" for begin, end in spans)


class SpeechTokenizer:
    """The two labels of a frame. A text is read by `read_spans`; its tokens are its stretches of speech."""

    size = 2
    symbols = (BLANK_SYMBOL, "speech")
    separator = None

    @classmethod
    def build(cls, config: TokenizerConfig, texts: Sequence[str]) -> Self:
        """The same for all configurations."""
        return cls()

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """Restores it."""
        return cls()

    def encode(self, text: str) -> list[int]:
        return [SPEECH for _ in read_spans(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(self.symbols[token] for token in tokens if token)

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps({"kind": TokenizerKind.speech.value}) + "\n", encoding="utf-8")
