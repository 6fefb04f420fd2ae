"""Settings of the group `scoring`."""

from dataclasses import dataclass
from enum import Enum

NO_NORMALIZER = "none"


class ScoringUnit(Enum):
    auto = "auto"
    word = "word"
    character = "character"
    frame = "frame"


@dataclass
class ScoringConfig:
    unit: ScoringUnit
    """What errors are counted in: words (WER) or characters (CER). It chooses the best model and heads every table;
    auto takes characters where the references are written without spaces between words, as Chinese and Thai are. frame
    is that of models with tokenizer=speech, which have no other."""
    normalizer: str
    """Rules that references and hypotheses go through before their errors are counted a second time, beside the raw
    figures: none; lower (letters in lower case); english, those of Whisper (pip install 'asr[english]'); or a file with
    rules for spelling variants and fillers, such as COLOUR => COLOR. Models are chosen without them."""
