"""Settings of the group `tokenizer`."""

from dataclasses import dataclass
from enum import Enum


class TokenizerKind(Enum):
    char = "char"
    bpe = "bpe"
    phone = "phone"


@dataclass
class TokenizerConfig:
    kind: TokenizerKind
    """The units that the model writes."""
    alphabet: str | None
    """The characters that may stand in transcripts, the space included; null takes those of the training
    transcripts."""
    pieces: int
    """Word pieces that bpe learns from the training transcripts, single characters included."""
    lexicon: str | None
    """For phone: a file with a word and its phones on each line, as the CMU dictionary; of several pronunciations the
    first counts. Null takes all from eSpeak NG."""
    g2p: str | None
    """For phone: eSpeak NG's language, as en-us, de or tr, for words that the lexicon lacks; null refuses them."""
