"""Settings of the groups `text` and `tokenizer`."""

from dataclasses import dataclass
from enum import Enum


class Case(Enum):
    keep = "keep"
    upper = "upper"
    lower = "lower"


@dataclass
class TextConfig:
    """How `asr prepare` normalizes the transcripts of a corpus of your own, and of recipes for any language."""

    normalize: bool
    """Compose characters (Unicode NFC), remove punctuation, and apply the other keys."""
    language: str | None
    """Code of the language, as en, tr or pt_BR: for numbers, and for the case of Turkish and Azeri."""
    case: Case
    """Case of the letters."""
    numbers: bool
    """Write numbers as words."""


class TokenizerKind(Enum):
    char = "char"
    bpe = "bpe"
    phone = "phone"


@dataclass
class TokenizerConfig:
    kind: TokenizerKind
    """The units that the model outputs: characters, subwords (byte-pair encoding) or phones."""
    alphabet: str | None
    """The characters that transcripts may contain, the space included; null takes those of the training transcripts."""
    pieces: int
    """Size of the vocabulary that bpe learns from the training transcripts, single characters included."""
    lexicon: str | None
    """For phone: a file with a word and its phones on each line, like the CMU dictionary; of several pronunciations the
    first counts. null takes all from eSpeak NG."""
    g2p: str | None
    """For phone: eSpeak NG's language, as en-us, de or tr, for words that are not in the lexicon; null refuses them."""
