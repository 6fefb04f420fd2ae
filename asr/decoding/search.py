"""The definition of a beam search: lexicon, language model, weights."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from asr.common.errors import ConfigError, DataError
from asr.text.protocol import Tokenizer


@dataclass(frozen=True)
class Hypothesis:
    """A text with its score."""

    text: str
    score: float
    """Acoustic log-probability (natural), plus the weighted ones of language models and the word scores."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lexicon:
    """The words that hypotheses may have."""

    spellings: tuple[tuple[str, tuple[str, ...]], ...]
    """Words and the symbols of their tokens."""
    separator: str | None
    """Symbol of the token between words, which ends each spelling; None where word pieces mark its beginning."""


def lexicon_of(words: Iterable[str], tokenizer: Tokenizer) -> Lexicon:
    """Spells words with the tokens of a tokenizer; those that it cannot write are left out, and the log counts them.

    Raises:
        ConfigError: It can write none.
    """
    symbols, separator = tokenizer.symbols, tokenizer.separator
    end = () if separator is None else (symbols[separator],)
    spellings, left_out = [], []
    for word in words:
        try:
            spelled = tuple(symbols[token] for token in tokenizer.encode(word))
        except DataError:
            left_out.append(word)
        else:
            spellings.append((word, (*spelled, *end)))
    if left_out:
        log.warning("The tokenizer cannot write %d words, as %s; no hypothesis has them.", len(left_out), left_out[0])
    if not spellings:
        raise ConfigError("The tokenizer can write no word of the language model: give one of the same alphabet.")
    return Lexicon(tuple(spellings), end[0] if end else None)


@dataclass(frozen=True)
class Search:
    """A beam search; see `asr.settings.decoder.DecoderConfig`."""

    symbols: tuple[str, ...]
    """Of the tokens, the blank first."""
    lexicon: Lexicon | None
    """None allows any sequence of tokens."""
    lm: str | None
    """File that KenLM loads, over words with a lexicon and over symbols without."""
    beam: int
    lm_weight: float
    word_score: float
    beam_tokens: int | None
    beam_threshold: float
    log_add: bool
    nbest: int
    recurrent: str | None = None
    """Folder of a recurrent language model that is fused into the search."""
    recurrent_weight: float = 0.0
    hot: tuple[tuple[str, ...], ...] = ()
    """Phrases that are boosted: their words with a lexicon, their symbols without."""
    hot_boost: float = 0.0

    @property
    def composite(self) -> bool:
        """Whether it has more language models than KenLM's."""
        return self.recurrent is not None or bool(self.hot)
