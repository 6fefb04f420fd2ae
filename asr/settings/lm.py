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
        """Whether it is a neural network, which is trained."""
        return self in (LmKind.lstm, LmKind.gru)


class LmUnits(Enum):
    words = "words"
    tokens = "tokens"


@dataclass
class LmConfig:
    """The language model that `asr lm train` makes and decoder=beam uses; the training of an acoustic model does not
    depend on it."""

    kind: LmKind
    """none decodes without one; ngram estimates n-grams with modified Kneser-Ney smoothing; lstm and gru train a
    network, with the groups optimizer (except its learning rate), schedule and training (except its epochs)."""
    units: LmUnits
    """words, or the tokens of the tokenizer (characters or subwords), which can spell any word."""
    order: int
    """Longest n-grams, from 2 to 6 units: 3 or 4 for words, 6 for characters."""
    prune: list[int]
    """For each order, the count up to which n-grams are pruned; the last number also holds for all higher orders, and
    none may be less than the one before. [0, 0, 1] keeps the model of a large text small."""
    fallback_discounts: list[float]
    """Discounts of the counts 1, 2 and 3 or more, for orders with too few or too regular counts to estimate them."""
    transcripts: bool
    """Use the training transcripts; false uses lm.texts only."""
    texts: list[str]
    """Files of further text, one sentence per line."""
    held_out: str | None
    """Text file whose perplexity is reported; null is the dev transcripts."""
    path: str | None
    """An ARPA file or a KenLM binary made elsewhere, used instead of an estimate."""
    min_count: int
    """Of lstm and gru over words: words that occur less often become <unk>; at 1 it is never trained."""
    layers: int
    """Recurrent layers of lstm and gru."""
    hidden: int
    """Units of each layer, and the size of the embedding, which the output layer shares (Press & Wolf, 2017)."""
    dropout: float
    """Dropout probability before each layer and the output."""
    epochs: int
    """Passes of their training over the text."""
    learning_rate: float
    """The peak learning rate of their training."""
    batch_units: int
    """Units in each optimizer step of their training, ends of sentences included."""
    max_device_units: int
    """Padded units in a micro-batch of one rank; lower it when memory runs out: the gradients stay the same."""
