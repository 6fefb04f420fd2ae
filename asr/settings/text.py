"""Settings of the group `text`."""

from dataclasses import dataclass
from enum import Enum


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
