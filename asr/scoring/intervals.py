"""Confidence intervals of the word error rate.

The percentile bootstrap of Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation"
(2004). The errors in one speaker's utterances are correlated, so whole speakers are drawn where there are several:
drawing single utterances as if they were independent makes the interval too narrow.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asr.scoring.error_rates import UtteranceScore

Counts = npt.NDArray[np.int64]

DRAWS_AT_ONCE = 1 << 20


def bootstrap_interval(
    scores: Sequence[UtteranceScore], samples: int = 10_000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """The interval of the WER (fractions), a pure function of its arguments.

    A set of a single unit (one utterance) has nothing to draw from: both ends are then its WER, and the
    uncertainty is not known.

    Args:
        scores: All utterances of the set, at least one.
        samples: How many sets are drawn.
        seed: What the draws follow from.
        level: The share of drawn sets whose WER is inside.
    """
    units = resampling_units(scores)
    counts = sum_by_unit(np.array([(score.errors, score.words) for score in scores], dtype=np.int64), units)
    errors, words = resampled_sums(counts, samples, seed).T
    low, high = np.quantile(errors / words, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampling_units(scores: Sequence[UtteranceScore]) -> Counts:
    """The number of the unit that each utterance is drawn with, from 0, shape (utterances,).

    A unit is a speaker where there are several, else an utterance; so is an utterance without a speaker's name.
    """
    by_speaker = len({score.speaker for score in scores if score.speaker}) > 1
    numbers: dict[tuple[str, int], int] = {}
    units = []
    for position, score in enumerate(scores):
        unit = (score.speaker, 0) if by_speaker and score.speaker else ("", position)
        units.append(numbers.setdefault(unit, len(numbers)))
    return np.array(units, dtype=np.int64)


def sum_by_unit(counts: Counts, units: Counts) -> Counts:
    """Sums counts (utterances, columns) over the utterances of each unit: (units, columns)."""
    sums = np.zeros((units.max() + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(sums, units, counts)
    return sums


def resampled_sums(counts: Counts, samples: int, seed: int) -> Counts:
    """Draws as many units as there are, with replacement, and sums their counts, `samples` times.

    Columns are drawn together, so that those of two models stay paired.

    Args:
        counts: Shape (units, columns).
        samples: How many sets are drawn.
        seed: What the draws follow from.

    Returns:
        Sums, shape (samples, columns).
    """
    generator = np.random.default_rng(seed)
    units = len(counts)
    at_once = max(1, DRAWS_AT_ONCE // units)
    sums = []
    for first in range(0, samples, at_once):
        drawn = generator.integers(units, size=(min(at_once, samples - first), units))
        sums.append(np.stack([column[drawn].sum(axis=1) for column in counts.T], axis=1))
    return np.concatenate(sums)
