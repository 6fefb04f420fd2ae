"""Rescoring: a recurrent language model scores the n-best lists of a beam search."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr.decoding.search import Hypothesis
from asr.lm.trained import TrainedLanguageModel, score_text


def language_model_scores(trained: TrainedLanguageModel, texts: Sequence[str]) -> dict[str, float]:
    """The log-probability (natural) of each text as a sentence.

    Raises:
        DataError: The tokenizer of the language model cannot write one.
    """
    different = list(dict.fromkeys(texts))
    scores = score_text(trained.model, trained.tokenizer, trained.config.lm.units, different)
    return {score.text: score.log10_prob * math.log(10) for score in scores}


@dataclass(frozen=True)
class Rescorer:
    """Adds the weighted log-probability of a recurrent language model, and a score for each word."""

    trained: TrainedLanguageModel
    weight: float
    word_score: float

    def __call__(self, found: Sequence[Sequence[Hypothesis]]) -> list[list[Hypothesis]]:
        """The hypotheses of each utterance, rescored, the best first."""
        scores = language_model_scores(self.trained, [item.text for items in found for item in items])

        def rescore(item: Hypothesis) -> Hypothesis:
            return replace(item, score=rescored(item, scores[item.text], self.weight, self.word_score))

        return [sorted(map(rescore, items), key=lambda item: -item.score) for items in found]


def rescored(item: Hypothesis, log_prob: float, weight: float, word_score: float) -> float:
    """The score of a hypothesis with a language model's log-probability (natural) of its text."""
    return item.score + weight * log_prob + word_score * len(item.text.split())
