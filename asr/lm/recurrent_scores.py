"""What a recurrent language model says of text."""

import heapq
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asr.lm.recurrent import BOUNDARY, LAYER_STATES, RecurrentLanguageModel, token_log_probs
from asr.lm.recurrent_folder import TrainedLanguageModel
from asr.lm.scores import SentenceScore
from asr.lm.text import UNKNOWN_TOKEN
from asr.settings.lm import LmUnits
from asr.text.protocol import SPACE_SYMBOL, Tokenizer

END = "</s>"
TRIED = 100
"""Most probable tokens after each beginning of a word."""
MOST_BEGINNINGS = 100_000
"""Of words, until the search is given up."""


def score_text(
    model: RecurrentLanguageModel, tokenizer: Tokenizer, units: LmUnits, sentences: Sequence[str]
) -> list[SentenceScore]:
    """Scores sentences, as `asr.lm.scores.score_sentences` does for n-grams.

    Raises:
        DataError: The tokenizer cannot write one.
    """
    encoded = [tokenizer.encode(sentence) for sentence in sentences]
    scores = []
    for sentence, tokens, found in zip(sentences, encoded, token_log_probs(model, encoded), strict=True):
        parts = (found.double() / math.log(10)).tolist()
        # Over characters and pieces nothing is unknown: the tokenizer refuses what it cannot write.
        known = [
            part
            for token, part in zip([*tokens, BOUNDARY], parts, strict=True)
            if token != UNKNOWN_TOKEN or units is not LmUnits.words
        ]
        scores.append(SentenceScore(sentence, sum(parts), len(parts), len(parts) - len(known), sum(known)))
    return scores


@torch.inference_mode()
def next_words(trained: TrainedLanguageModel, beginning: str, number: int) -> list[tuple[str, float]]:
    """The most probable next words after the beginning of a sentence, whose last word is whole; </s> ends it.

    A model over characters or pieces spells words: a word ends where a space, another word or the end of the sentence
    follows. One that can be spelled in several ways has the probability of the best.

    Args:
        number: How many.

    Returns:
        Words with their probabilities, the most probable first.

    Raises:
        DataError: The tokenizer cannot write the beginning.
    """
    model, tokenizer = trained.model, trained.tokenizer
    before = tokenizer.encode(beginning)
    states: LAYER_STATES | None = None
    log_probs = torch.empty(0)
    for token in [BOUNDARY, *before]:
        (log_probs,), states = model.follow(torch.tensor([token]), states)
    assert states is not None
    if trained.by_words:
        values, tokens = log_probs.topk(min(number, len(log_probs)))
        words = [END, *tokenizer.symbols[1:]]
        return [(words[token], math.exp(value)) for value, token in zip(values.tolist(), tokens.tolist(), strict=True)]
    return _Speller(trained, before, log_probs, states).best(number)


class _Speller:
    """Looks for the most probable words, the best beginning first: to go on with one never makes it more probable."""

    def __init__(
        self, trained: TrainedLanguageModel, before: list[int], log_probs: Tensor, states: LAYER_STATES
    ) -> None:
        self.model, self.tokenizer, self.before = trained.model, trained.tokenizer, before
        symbols = self.tokenizer.symbols
        ends = [token == BOUNDARY or symbol[0] == SPACE_SYMBOL for token, symbol in enumerate(symbols)]
        self.ends_word = torch.tensor(ends)
        self.queue: list[tuple[float, int, list[int], LAYER_STATES]] = []
        self.ends: list[tuple[float, str]] = []
        self.pushed = 0
        if before:  # the word before is whole
            log_probs = log_probs.masked_fill(~self.ends_word, -math.inf).log_softmax(dim=0)
        self.ends.append((-float(log_probs[BOUNDARY]), END))
        self._push(0.0, [], log_probs, states)

    def best(self, number: int) -> list[tuple[str, float]]:
        while self.queue and self.pushed < MOST_BEGINNINGS:
            self.ends.sort()
            if len(self.ends) >= number and self.ends[number - 1][0] <= self.queue[0][0]:
                break
            cost, _, spelled, states = heapq.heappop(self.queue)
            (log_probs,), states = self.model.follow(torch.tensor(spelled[-1:]), states)
            if word := self._word(spelled):
                over = float(log_probs[self.ends_word].logsumexp(dim=0))
                self.ends.append((cost - over, word))
                log_probs = log_probs.masked_fill(self.ends_word, -math.inf)
            self._push(cost, spelled, log_probs, states)
        found: dict[str, float] = {}
        for cost, word in sorted(self.ends):
            found.setdefault(word, math.exp(-cost))
        return list(found.items())[:number]

    def _word(self, spelled: list[int]) -> str:
        """What was spelled after the beginning."""
        whole = self.tokenizer.decode([*self.before, *spelled])
        return whole[len(self.tokenizer.decode(self.before)) :].strip()

    def _push(self, cost: float, spelled: list[int], log_probs: Tensor, states: LAYER_STATES) -> None:
        values, tokens = log_probs.topk(min(TRIED, len(log_probs)))
        for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
            if token != BOUNDARY and value > -math.inf:
                self.pushed += 1
                heapq.heappush(self.queue, (cost - value, self.pushed, [*spelled, token], states))
