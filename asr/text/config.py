"""Settings of the tokenizer."""

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


class Case(Enum):
    keep = "keep"
    upper = "upper"
    lower = "lower"


@dataclass
class TextConfig:
    """How `prepare` normalizes transcripts of a corpus of your own, and of recipes that leave the language open."""

    normalize: bool
    """Compose characters (Unicode NFC), take punctuation out, and do what the other keys say."""
    language: str | None
    """Code of the language, as en, tr or pt_BR: for numbers, and for the case of Turkish and Azeri."""
    case: Case
    """Case of the letters."""
    numbers: bool
    """Write numbers in words."""
