"""The lexicon of a beam search: words, each spelled with the symbols of tokens."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from asr.errors import ConfigError, DataError
from asr.text.protocol import Tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lexicon:
    """Words that a search may write."""

    spellings: tuple[tuple[str, tuple[str, ...]], ...]
    """Words and the symbols of their tokens."""
    separator: str | None
    """Symbol of the token between words, which ends each spelling; None where pieces tell where a word begins."""


def lexicon_of(words: Iterable[str], tokenizer: Tokenizer) -> Lexicon:
    """Spells words with the tokens of a tokenizer; those that it cannot write are left out, and counted in the log.

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
