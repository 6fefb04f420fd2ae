"""Settings of the language model."""

from dataclasses import dataclass
from enum import Enum


class LmKind(Enum):
    none = "none"
    ngram = "ngram"


class LmUnits(Enum):
    words = "words"
    tokens = "tokens"


@dataclass
class LmConfig:
    """The language model that `asr lm train` estimates and that decoder=beam hears with; a training of an acoustic
    model does not depend on it."""

    kind: LmKind
    """none decodes without one; ngram counts n-grams and smooths them as modified Kneser-Ney does."""
    units: LmUnits
    """words, or the tokens of the tokenizer (characters or word pieces), which can write any word."""
    order: int
    """Units that an n-gram has at most, from 2 to 6: 3 or 4 for words, 6 for characters."""
    prune: list[int]
    """n-grams of each order that occur so often or less are left out; the last number is that of all higher orders, and
    none is less than the one before. [0, 0, 1] makes a model of much text small."""
    fallback_discounts: list[float]
    """Taken off the counts 1, 2 and 3 or more in an order whose text is too small or too regular to tell them."""
    texts: list[str]
    """Files of further text, a sentence a line, beside the training transcripts."""
    held_out: str | None
    """Text file whose perplexity is reported; null is the dev transcripts."""
    path: str | None
    """An ARPA file or a KenLM binary made elsewhere, used instead of an own estimate."""
