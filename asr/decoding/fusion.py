"""Shallow fusion for flashlight's decoder: n-grams, a recurrent language model and boosted phrases.

flashlight asks for the score of a unit after a state; the states form a tree, so each is a partial hypothesis. Scores
are cached until the next utterance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchaudio.models.decoder import CTCDecoderLM, CTCDecoderLMState

from asr.lm.recurrent import BOUNDARY, LAYER_STATES, RecurrentLanguageModel
from asr.lm.text import UNKNOWN
from asr.text.protocol import Tokenizer


class HotWords:
    """Phrases that are boosted.

    Each unit of a phrase gets its share of the boost, so that the beam keeps a hypothesis that may become the phrase;
    where another unit follows, the boost of an unfinished phrase is taken back.

    Args:
        phrases: Units of each, by their numbers.
        boost: Of a whole phrase (natural logarithm), for each of its units.
    """

    def __init__(self, phrases: Sequence[Sequence[int]], boost: float) -> None:
        self.phrases, self.boost = {tuple(phrase) for phrase in phrases}, boost
        self.beginnings = {phrase[:end] for phrase in self.phrases for end in range(1, len(phrase) + 1)}

    def follow(self, begun: tuple[int, ...], unit: int) -> tuple[tuple[int, ...], float]:
        """The beginning of a phrase that the last units are after a further unit, and the score of that unit; `begun`
        is the one that they were before, empty at first."""
        longer = (*begun, unit)
        while longer and longer not in self.beginnings:
            longer = longer[1:]
        score = self.boost * (len(longer) - len(begun))
        return ((), score) if longer in self.phrases else (longer, score)


class Speller:
    """The tokens of a recurrent model that spell a unit of the search.

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
        """The tokens of a unit that may be the first of its sentence.

        Raises:
            DataError: The recurrent model's tokens cannot write it.
        """
        if (unit, first) not in self.spelled:
            self.spelled[unit, first] = self._spell(self.units.get_entry(unit), first)
        return self.spelled[unit, first]

    def _spell(self, unit: str, first: bool) -> list[int]:
        if unit == UNKNOWN:
            return []  # torchaudio asks about it while it builds the search; no hypothesis has it
        if not self.by_words:
            return [self.numbers[unit]] if unit in self.numbers else []
        at_start = self.tokenizer.encode(unit)
        # As it is spelled after another word, with the separator between them.
        return at_start if first else self.tokenizer.encode(f"{unit} {unit}")[len(at_start) :]


@dataclass
class PartialHypothesis:
    """What is cached for a state."""

    ngram: Any
    """State of the n-gram model."""
    begun: tuple[int, ...] = ()
    """The beginning of a boosted phrase that its last units are."""
    log_probs: Tensor | None = None
    """Of the next token, by the recurrent model."""
    layers: LAYER_STATES | None = None
    last: int | None = None
    """A token that the recurrent model has not read yet: most hypotheses leave the beam before it must."""
    units: int = 0


class FusedLanguageModel(CTCDecoderLM):  # type: ignore[misc] # torchaudio gives it no type
    """The weighted sum of the scores of all parts.

    Args:
        ngram: flashlight's, whose logarithms are to the base 10.
        ngram_weight: Its factor, by which logarithms become natural.
        recurrent: A recurrent model, or None.
        tokens: The tokens of the recurrent model that spell a unit, at the beginning and after others.
        hot: Boosted phrases.
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
        self.known: dict[Any, PartialHypothesis] = {}
        self.scores: dict[Any, float] = {}
        self.begin = None if recurrent is None else self._follow(recurrent, [BOUNDARY], None)

    def start(self, start_with_nothing: bool) -> Any:
        """Starts an utterance."""
        state = CTCDecoderLMState()
        ngram = None if self.ngram is None else self.ngram.start(start_with_nothing)
        log_probs, layers = self.begin or (None, None)
        self.known, self.scores = {state: PartialHypothesis(ngram, log_probs=log_probs, layers=layers)}, {}
        return state

    def score(self, state: Any, unit: int) -> tuple[Any, float]:
        """The state after a unit, and the unit's score."""
        after = state.child(unit)
        if after not in self.scores:
            self.known[after], self.scores[after] = self._scored(self.known[state], unit)
        return after, self.scores[after]

    def finish(self, state: Any) -> tuple[Any, float]:
        """The state after the end of the sentence, and the end's score."""
        partial, score = self.known[state], 0.0
        if self.ngram is not None:
            score += self.ngram_weight * self.ngram.finish(partial.ngram)[1]
        if (log_probs := self._read(partial)) is not None:
            score += self.recurrent_weight * float(log_probs[BOUNDARY])
        return state, score - self.hot.boost * len(partial.begun)

    def _scored(self, before: PartialHypothesis, unit: int) -> tuple[PartialHypothesis, float]:
        begun, score = self.hot.follow(before.begun, unit)
        after = PartialHypothesis(None, begun, units=before.units + 1)
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

    def _read(self, partial: PartialHypothesis) -> Tensor | None:
        """Log-probabilities of the next token by the recurrent model; None without one."""
        if partial.last is not None and self.recurrent is not None:
            partial.log_probs, partial.layers = self._follow(self.recurrent, [partial.last], partial.layers)
            partial.last = None
        return partial.log_probs

    @staticmethod
    @torch.inference_mode()
    def _follow(
        model: RecurrentLanguageModel, tokens: Sequence[int], layers: LAYER_STATES | None
    ) -> tuple[Tensor, LAYER_STATES]:
        log_probs, after = model.follow(torch.tensor(tokens), layers)
        return log_probs[0], after
