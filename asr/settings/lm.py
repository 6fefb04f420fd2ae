"""Settings of the group `lm`."""

from dataclasses import dataclass
from enum import Enum


class LmKind(Enum):
    none = "none"
    ngram = "ngram"
    lstm = "lstm"
    gru = "gru"

    @property
    def recurrent(self) -> bool:
        """Whether it is a network, which is trained."""
        return self in (LmKind.lstm, LmKind.gru)


class LmUnits(Enum):
    words = "words"
    tokens = "tokens"


@dataclass
class LmConfig:
    """The language model that `asr lm train` makes and that decoder=beam hears with; a training of an acoustic model
    does not depend on it."""

    kind: LmKind
    """none decodes without one; ngram counts n-grams and smooths them as modified Kneser-Ney does; lstm and gru train a
    network, with the groups optimizer (but for its rate), schedule and training (but for its epochs)."""
    units: LmUnits
    """words, or the tokens of the tokenizer (characters or word pieces), which can write any word."""
    order: int
    """Units that an n-gram has at most, from 2 to 6: 3 or 4 for words, 6 for characters."""
    prune: list[int]
    """n-grams of each order that occur so often or less are left out; the last number is that of all higher orders, and
    none is less than the one before. [0, 0, 1] makes a model of much text small."""
    fallback_discounts: list[float]
    """Taken off the counts 1, 2 and 3 or more in an order whose text is too small or too regular to tell them."""
    transcripts: bool
    """Learn from the training transcripts; false leaves lm.texts."""
    texts: list[str]
    """Files of further text, a sentence a line."""
    held_out: str | None
    """Text file whose perplexity is reported; null is the dev transcripts."""
    path: str | None
    """An ARPA file or a KenLM binary made elsewhere, used instead of an own estimate."""
    min_count: int
    """Of lstm and gru over words: words that occur less often are one, <unk>; at 1 that one is never learnt."""
    layers: int
    """Recurrent layers of lstm and gru."""
    hidden: int
    """Their units, and the size of the embedding, which the output layer shares (Press & Wolf, 2017)."""
    dropout: float
    """Share of activations dropped before each layer and the output in their training."""
    epochs: int
    """Passes of their training over the text."""
    learning_rate: float
    """The highest rate of their training."""
    batch_units: int
    """Units in each step of their training, ends of sentences included."""
    max_device_units: int
    """Padded units that one rank takes at once; lower it where memory is short, the gradients stay the same."""
