"""Settings of the tokenizer."""

from dataclasses import dataclass
from enum import Enum


class TokenizerKind(Enum):
    char = "char"
    bpe = "bpe"


@dataclass
class TokenizerConfig:
    kind: TokenizerKind
    """The units that the model writes."""
    alphabet: str | None
    """The characters that may stand in transcripts, the space included; null takes those of the training
    transcripts."""
    pieces: int
    """Word pieces that bpe learns from the training transcripts, single characters included."""
