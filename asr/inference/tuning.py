"""Finds the weights of a beam search on the log-probabilities of a split."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from asr.common.processes import worker_pool
from asr.data.utterance import Utterance
from asr.decoding.beam import BeamDecoder
from asr.decoding.rescoring import rescored
from asr.decoding.search import Hypothesis, Search
from asr.decoding.weights import Weights
from asr.inference.evaluation import HeardSplit
from asr.scoring.error_rates import Score, score_utterance, total
from asr.text.protocol import Tokenizer

LM_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
WORD_SCORES = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
BEAMS = (5, 10, 20, 50, 100, 200)
RECURRENT_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5)
RECURRENT_WORD_SCORES = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
SEARCH_KEYS = ("lm_weight", "word_score")
RECURRENT_KEYS = ("recurrent_weight", "recurrent_word_score")
GRID_BEAM = 50
"""Of the search over weights; which beam does as well is looked for afterwards."""


@dataclass(frozen=True)
class Trial:
    """Weights and what they give."""

    weights: Weights
    score: Score

    def place(self, keys: tuple[str, str]) -> tuple[float, float]:
        """Where it lies on a grid of two of the weights."""
        return getattr(self.weights, keys[0]), getattr(self.weights, keys[1])


def search_weights(
    search: Search,
    tokenizer: Tokenizer,
    heard: HeardSplit,
    processes: int,
    lm_weights: Sequence[float] = LM_WEIGHTS,
    word_scores: Sequence[float] = WORD_SCORES,
    beams: Sequence[int] = BEAMS,
    each: Callable[[Trial], None] = lambda trial: None,
) -> tuple[list[Trial], list[Trial], Trial]:
    """Tries every pair of weights on a split, then beams with the best pair.

    Of pairs with as few errors as the best the one is taken whose neighbours have the fewest: a split has few errors,
    and a lone minimum is chance. Of the beams the smallest with as few errors as the largest.

    Args:
        processes: How many pairs are tried at once.
        each: Told every trial.

    Returns:
        The trials of the pairs, those of the beams, and the one that is taken.
    """
    pairs = [Weights(GRID_BEAM, lm_weight, word_score) for lm_weight in lm_weights for word_score in word_scores]
    _start(search, tokenizer, heard)
    several = processes > 1
    with worker_pool(__name__, processes, _start, (search, tokenizer, heard)) if several else nullcontext() as pool:
        attempt = map if pool is None else pool.map

        def trials(tried: Iterable[Weights]) -> Iterator[Trial]:
            for trial in attempt(_try, tried):
                each(trial)
                yield trial

        grid = list(trials(pairs))
        best = robust_best(grid, lm_weights, word_scores)
        beam_trials = list(trials(replace(best.weights, beam=beam) for beam in beams))
    enough = beam_trials[-1].score.errors
    taken = next(trial for trial in beam_trials if trial.score.errors <= enough)
    return grid, beam_trials, taken


def search_recurrent_weights(
    utterances: Sequence[Utterance],
    found: Sequence[Sequence[Hypothesis]],
    log_probs: Mapping[str, float],
    weights: Weights,
) -> tuple[list[Trial], Trial]:
    """Tries pairs of `recurrent_weight` and `recurrent_word_score` on the best hypotheses of a search.

    Args:
        found: Of each utterance, by the search with `weights`.
        log_probs: Of the recurrent language model (natural), by text.

    Returns:
        All trials, and the one that is taken, as in `search_weights`.
    """
    scores = [
        {item.text: score_utterance(utterance, item.text) for item in items}
        for utterance, items in zip(utterances, found, strict=True)
    ]

    def attempt(weight: float, word_score: float) -> Trial:
        def score_of(item: Hypothesis) -> float:
            return rescored(item, log_probs[item.text], weight, word_score)

        chosen = [by_text[max(items, key=score_of).text] for by_text, items in zip(scores, found, strict=True)]
        tried = replace(weights, recurrent_weight=weight, recurrent_word_score=word_score)
        return Trial(tried, total(chosen))

    grid = [attempt(weight, score) for weight in RECURRENT_WEIGHTS for score in RECURRENT_WORD_SCORES]
    return grid, robust_best(grid, RECURRENT_WEIGHTS, RECURRENT_WORD_SCORES, RECURRENT_KEYS)


def robust_best(
    grid: Sequence[Trial],
    lm_weights: Sequence[float],
    word_scores: Sequence[float],
    keys: tuple[str, str] = SEARCH_KEYS,
) -> Trial:
    """Of the trials with the fewest errors the one whose neighbours on the grid have the fewest on average; of those
    the first.

    Args:
        lm_weights: Values of the first of the keys.
        word_scores: Of the second.
        keys: Of the weights that make the grid.
    """
    errors = {trial.place(keys): trial.score.errors for trial in grid}

    def around(trial: Trial) -> float:
        weight, word_score = trial.place(keys)
        near = list(_neighbours(lm_weights, weight))
        pairs = [(one, other) for one in near for other in _neighbours(word_scores, word_score)]
        return sum(errors[pair] for pair in pairs) / len(pairs)

    fewest = min(errors.values())
    return min((trial for trial in grid if trial.score.errors == fewest), key=around)


def _neighbours(values: Sequence[float], value: float) -> Iterator[float]:
    place = values.index(value)
    yield from values[max(place - 1, 0) : place + 2]


_tried: tuple[Search, Tokenizer, HeardSplit] | None = None
"""What a process tries weights on."""


def _start(search: Search, tokenizer: Tokenizer, heard: HeardSplit) -> None:
    global _tried
    _tried = search, tokenizer, heard


def _try(weights: Weights) -> Trial:
    assert _tried is not None
    search, tokenizer, heard = _tried
    weighted = replace(search, beam=weights.beam, lm_weight=weights.lm_weight, word_score=weights.word_score, nbest=1)
    with BeamDecoder(weighted, tokenizer, processes=1) as decoder:
        found = decoder.search_emissions(heard.emissions)
    scores = (
        score_utterance(utterance, hypotheses[0].text)
        for utterance, hypotheses in zip(heard.utterances, found, strict=True)
    )
    return Trial(weights, total(scores))
