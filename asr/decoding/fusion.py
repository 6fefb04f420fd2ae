"""A language model of several parts for flashlight's decoder: n-grams, a recurrent model, phrases that are favoured.

flashlight asks for the score of a unit after a state; the states form a tree, so each is what was written so far. What
it was asked once is remembered until the next utterance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchaudio.models.decoder import CTCDecoderLM, CTCDecoderLMState

from asr.lm.counts import UNKNOWN
from asr.lm.recurrent import BOUNDARY, LAYER_STATES, RecurrentLanguageModel
from asr.text.protocol import Tokenizer


class HotWords:
    """Phrases that are favoured.

    Each unit of a phrase brings its share of the boost, so that a beam keeps what may become the phrase; where another
    unit follows, what is unfinished is taken back.

    Args:
        phrases: Units of each, by their numbers.
        boost: Of a whole phrase (natural logarithm), for each of its units.
    """

    def __init__(self, phrases: Sequence[Sequence[int]], boost: float) -> None:
        self.phrases, self.boost = {tuple(phrase) for phrase in phrases}, boost
        self.beginnings = {phrase[:end] for phrase in self.phrases for end in range(1, len(phrase) + 1)}

    def follow(self, begun: tuple[int, ...], unit: int) -> tuple[tuple[int, ...], float]:
        """What is begun of a phrase after a further unit, and the score of that unit.

        Args:
            begun: What of a phrase the last units were; empty at first.
        """
        longer = (*begun, unit)
        while longer and longer not in self.beginnings:
            longer = longer[1:]
        score = self.boost * (len(longer) - len(begun))
        return ((), score) if longer in self.phrases else (longer, score)


class Speller:
    """The tokens of a recurrent model that write a unit of the search.

    Args:
        tokenizer: Of the recurrent model.
        units: flashlight's dictionary of the search's units: words, or the symbols of tokens.
        by_words: Whether they are words. Else both models have the same tokens.
    """

    def __init__(self, tokenizer: Tokenizer, units: Any, by_words: bool) -> None:
        self.tokenizer, self.units, self.by_words = tokenizer, units, by_words
        self.numbers = {symbol: number for number, symbol in enumerate(tokenizer.symbols)}
        self.spelled: dict[tuple[int, bool], list[int]] = {}

    def __call__(self, unit: int, first: bool) -> list[int]:
        """The tokens.

        Args:
            first: Whether it begins the sentence.

        Raises:
            DataError: The recurrent model's tokens cannot write it.
        """
        if (unit, first) not in self.spelled:
            self.spelled[unit, first] = self._spell(self.units.get_entry(unit), first)
        return self.spelled[unit, first]

    def _spell(self, unit: str, first: bool) -> list[int]:
        if unit == UNKNOWN:
            return []  # torchaudio asks about it while it builds the search, which never writes it
        if not self.by_words:
            return [self.numbers[unit]] if unit in self.numbers else []
        alone = self.tokenizer.encode(unit)
        # As it is written after another word, with what stands between them.
        return alone if first else self.tokenizer.encode(f"{unit} {unit}")[len(alone) :]


@dataclass
class Written:
    """What is known of a state."""

    ngram: Any
    """State of the n-gram model."""
    begun: tuple[int, ...] = ()
    """Of a phrase."""
    log_probs: Tensor | None = None
    """Of the next token, by the recurrent model."""
    layers: LAYER_STATES | None = None
    last: int | None = None
    """A token that the recurrent model has not read yet: most hypotheses are given up before it must."""
    units: int = 0


class FusedLanguageModel(CTCDecoderLM):  # type: ignore[misc] # torchaudio gives it no type
    """The weighted sum of what the parts say.

    Args:
        ngram: flashlight's, whose logarithms are to the base 10.
        ngram_weight: Its factor, by which logarithms become natural.
        recurrent: A recurrent model, or None.
        tokens: The tokens of the recurrent model that write a unit, at the beginning and after others.
        hot: Favoured phrases.
    """

    def __init__(
        self,
        ngram: Any,
        ngram_weight: float,
        recurrent: RecurrentLanguageModel | None,
        recurrent_weight: float,
        tokens: Callable[[int, bool], Sequence[int]],
        hot: HotWords,
    ) -> None:
        super().__init__()
        self.ngram, self.ngram_weight = ngram, ngram_weight
        self.recurrent, self.recurrent_weight, self.tokens, self.hot = recurrent, recurrent_weight, tokens, hot
        self.known: dict[Any, Written] = {}
        self.scores: dict[Any, float] = {}
        self.begin = None if recurrent is None else self._follow(recurrent, [BOUNDARY], None)

    def start(self, start_with_nothing: bool) -> Any:
        """Begins an utterance."""
        state = CTCDecoderLMState()
        ngram = None if self.ngram is None else self.ngram.start(start_with_nothing)
        log_probs, layers = self.begin or (None, None)
        self.known, self.scores = {state: Written(ngram, log_probs=log_probs, layers=layers)}, {}
        return state

    def score(self, state: Any, unit: int) -> tuple[Any, float]:
        """The state after a unit, and the unit's score."""
        after = state.child(unit)
        if after not in self.scores:
            self.known[after], self.scores[after] = self._scored(self.known[state], unit)
        return after, self.scores[after]

    def finish(self, state: Any) -> tuple[Any, float]:
        """The state after the end of the sentence, and the end's score."""
        written, score = self.known[state], 0.0
        if self.ngram is not None:
            score += self.ngram_weight * self.ngram.finish(written.ngram)[1]
        if (log_probs := self._read(written)) is not None:
            score += self.recurrent_weight * float(log_probs[BOUNDARY])
        return state, score - self.hot.boost * len(written.begun)

    def _scored(self, before: Written, unit: int) -> tuple[Written, float]:
        begun, score = self.hot.follow(before.begun, unit)
        after = Written(None, begun, units=before.units + 1)
        if self.ngram is not None:
            after.ngram, value = self.ngram.score(before.ngram, unit)
            score += self.ngram_weight * value
        if (log_probs := self._read(before)) is not None:
            after.log_probs, after.layers = log_probs, before.layers
            for token in self.tokens(unit, before.units == 0):
                log_probs = self._read(after)
                assert log_probs is not None
                score += self.recurrent_weight * float(log_probs[token])
                after.last = token
        return after, score

    def _read(self, written: Written) -> Tensor | None:
        """Log-probabilities of what follows, by the recurrent model; None without one."""
        if written.last is not None and self.recurrent is not None:
            written.log_probs, written.layers = self._follow(self.recurrent, [written.last], written.layers)
            written.last = None
        return written.log_probs

    @staticmethod
    @torch.inference_mode()
    def _follow(
        model: RecurrentLanguageModel, tokens: Sequence[int], layers: LAYER_STATES | None
    ) -> tuple[Tensor, LAYER_STATES]:
        log_probs, after = model.follow(torch.tensor(tokens), layers)
        return log_probs[0], after
