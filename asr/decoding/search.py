"""What a beam search looks for."""

from dataclasses import dataclass

from asr.decoding.lexicon import Lexicon


@dataclass(frozen=True)
class Search:
    """What is searched for, and how; see `asr.decoding.config.DecoderConfig`."""

    symbols: tuple[str, ...]
    """Of the tokens, the blank first."""
    lexicon: Lexicon | None
    """None writes any sequence of tokens."""
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
    """Folder of a recurrent language model that is asked within the search."""
    recurrent_weight: float = 0.0
    hot: tuple[tuple[str, ...], ...] = ()
    """Phrases that are favoured: their words with a lexicon, their symbols without."""
    hot_boost: float = 0.0

    @property
    def composite(self) -> bool:
        """Whether more than KenLM is asked."""
        return self.recurrent is not None or bool(self.hot)
