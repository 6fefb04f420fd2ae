"""Settings of the group `text`."""

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
    """Code of the language, as en, tr or pt_BR: for numbers, and for letters whose case or spelling depends on it, as
    Turkish i, German ß, the Greek sigma and Dutch ij. The model card names it too."""
    case: Case
    """Case of the letters."""
    numbers: bool
    """Write numbers as words; what can be read in several ways stays in digits and is named."""
