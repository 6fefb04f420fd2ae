"""Settings of the group `scoring`."""

from dataclasses import dataclass
from enum import Enum


class ScoringUnit(Enum):
    auto = "auto"
    word = "word"
    character = "character"


@dataclass
class ScoringConfig:
    unit: ScoringUnit
    """What errors are counted in: words (WER) or characters (CER). It chooses the best model and heads every table;
    auto takes characters where the references are written without spaces between words, as Chinese and Thai are."""
