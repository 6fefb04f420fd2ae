"""The bootstrap: intervals of error rates, and whether one model is better than another.

Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation" (2004). The errors in one
speaker's utterances are correlated, so whole speakers are drawn where there are several: drawing single utterances as
if they were independent makes an interval too narrow. For a pair of models each drawn set holds the same speakers (or
utterances), so that the difficulty of a set cancels in their difference. A training is also one of many: where a model
was trained with several seeds, as many of its trainings are drawn as there are, for each model separately.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from asr.common.errors import RunError
from asr.scoring.error_rates import UtteranceScore, total, unit_of
from asr.scoring.error_unit import ErrorUnit

Counts = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float64]
Trainings = Sequence[Sequence[UtteranceScore]]
"""The scores of each training of a model, all of the same utterances in the same order."""

DRAWS_AT_ONCE = 1 << 20
SAMPLES = 10_000
LEVEL = 0.95


def bootstrap_interval(
    scores: Sequence[UtteranceScore],
    samples: int = SAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    counted_in: ErrorUnit = ErrorUnit.word,
) -> tuple[float, float]:
    """The interval of the WER or of the CER (fractions), a pure function of its arguments.

    Where no unit differs from another, as in a set of one utterance or one without any error, there is nothing to draw
    from: both ends are then the error rate, and no interval can be given (`shown_interval`).

    Args:
        scores: All utterances of the set, at least one.
        samples: How many sets are drawn.
        seed: What the draws follow from.
        level: The share of drawn sets whose error rate is inside.
        counted_in: Words for the WER, characters for the CER.
    """
    units = resampling_units(scores)
    pairs = [(score.errors_in(counted_in), score.size_in(counted_in)) for score in scores]
    counts = sum_by_unit(np.array(pairs, dtype=np.int64), units)
    errors, words = resampled_sums(counts, samples, seed).T
    return _interval(errors / np.maximum(words, 1), level)


def shown_interval(low: float, high: float, between: str = " - ") -> str:
    """An interval of rates in per cent; "none" where the bootstrap has none."""
    return "none" if low == high else f"{100 * low:.2f}{between}{100 * high:.2f}"


def _interval(drawn: Rates, level: float = LEVEL) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


PART_SAMPLES = 1000
"""Sets that are drawn for each of the many parts of an evaluation."""
MOST_UNITS = 200
"""Of a part: more are drawn in blocks of several, which vary as much as their units do."""


def part_interval(errors: Sequence[int], sizes: Sequence[int], units: Counts) -> tuple[float, float] | None:
    """The 95 % interval of the error rate of a part of a set, a pure function of its arguments.

    Args:
        errors: Of each utterance of the part.
        sizes: Words or characters of the reference of each.
        units: Of `resampling_units` of the whole set, for each.

    Returns:
        None where the part is a single unit, or all of its units are alike, so that nothing is known of how others
        would vary.
    """
    names, numbers = np.unique(units, return_inverse=True)
    if len(names) < 2:
        return None
    counts = sum_by_unit(np.array([errors, sizes], dtype=np.int64).T, numbers % MOST_UNITS)
    drawn, size = resampled_sums(counts, PART_SAMPLES, seed=0).T
    low, high = _interval(drawn[size > 0] / size[size > 0]) if size.any() else (0.0, 0.0)
    return None if low == high else (low, high)


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


@dataclass(frozen=True)
class Estimate:
    """The error rate of a model, a fraction."""

    mean: float
    """Over its trainings."""
    deviation: float | None
    """Standard deviation over its trainings; null where there is one."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""


@dataclass(frozen=True)
class Difference:
    """The error rate of one model less that of another, a fraction: below 0 the first is better."""

    first: str
    second: str
    mean: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    improvement: float
    """Share of the drawn sets in which the first is better, ties counted half."""
    p: float
    """Two-sided: how often a difference this large occurs by chance where there is none."""
    p_corrected: float
    """The same, corrected for the number of pairs (Holm, "A simple sequentially rejective multiple test procedure",
    1979)."""

    @property
    def shown(self) -> bool:
        """Whether the models differ, at 5 % over all pairs together."""
        return self.p_corrected < 1 - LEVEL


def resampled_rates(
    models: Mapping[str, Trainings], counted_in: ErrorUnit | None = None, samples: int = SAMPLES, seed: int = 0
) -> dict[str, Rates]:
    """The mean error rate of every model in each drawn set, a pure function of its arguments.

    The trainings of a model are drawn with their distances from their mean stretched by sqrt(n / (n - 1)): drawn as
    they are, n trainings would seem to vary by less than they do, noticeably so where n is 2 or 3.

    Args:
        models: By name, the scores of their trainings. All have the same utterances in the same order.
        counted_in: Words for the WER, characters for the CER; None is as the scores were counted.
        samples: How many sets are drawn.
        seed: What the draws follow from.

    Returns:
        By name, shape (samples,): the sets are the same for all models.

    Raises:
        RunError: The trainings were not scored on the same utterances.
    """
    trainings = [scores for model in models.values() for scores in model]
    _require_same_utterances(trainings)
    units = resampling_units(trainings[0])
    counted_in = counted_in or unit_of(trainings[0])
    columns = [[score.errors_in(counted_in) for score in one] for one in trainings]
    sizes = [score.size_in(counted_in) for score in trainings[0]]
    counts = sum_by_unit(np.array([*columns, sizes], dtype=np.int64).T, units)
    sums = resampled_sums(counts, samples, seed)
    rates = sums[:, :-1] / np.maximum(sums[:, -1:], 1)
    generator = np.random.default_rng([seed, 1])
    drawn, first = {}, 0
    for name, model in models.items():
        drawn[name] = _drawn_trainings(rates[:, first : first + len(model)], generator)
        first += len(model)
    return drawn


def estimate(trainings: Trainings, drawn: Rates, counted_in: ErrorUnit | None = None) -> Estimate:
    """The error rate of a model with its interval; `drawn` are its resampled rates, counted in the same."""
    rates = training_rates(trainings, counted_in)
    low, high = _interval(drawn)
    deviation = float(np.std(rates, ddof=1)) if len(rates) > 1 else None
    # Seeds are drawn about their mean, which may lead below what an error rate can be.
    return Estimate(float(np.mean(rates)), deviation, max(0.0, low), high)


def differences(
    models: Mapping[str, Trainings], drawn: Mapping[str, Rates], against: str | None = None
) -> list[Difference]:
    """Every pair of models, tested, from the scores of their trainings and their rates, which were drawn together; or
    every other model against one of them."""
    rates = {name: float(np.mean(training_rates(trainings))) for name, trainings in models.items()}
    pairs = combinations(models, 2) if against is None else ((one, against) for one in models if one != against)
    tested = [_tested(rates, drawn, *pair) for pair in pairs]
    if not any(resampling_units(trainings[0]).any() for trainings in models.values()):
        tested = [replace(difference, p=1.0) for difference in tested]  # a single unit shows nothing of others
    corrected = holm([difference.p for difference in tested])
    return [replace(difference, p_corrected=p) for difference, p in zip(tested, corrected, strict=True)]


def _tested(rates: Mapping[str, float], drawn: Mapping[str, Rates], first: str, second: str) -> Difference:
    """The test of a pair, not corrected. Its drawn differences are not kept, since pairs may be thousands."""
    gap = drawn[first] - drawn[second]
    improvement, p = float((gap < 0).mean() + (gap == 0).mean() / 2), two_sided_p(gap)
    return Difference(first, second, rates[first] - rates[second], *_interval(gap), improvement, p, p_corrected=p)


def training_rates(trainings: Trainings, counted_in: ErrorUnit | None = None) -> Rates:
    """The error rate of each training, shape (trainings,)."""
    scores = [total(one) for one in trainings]
    return np.array([score.rate_in(counted_in or score.unit) for score in scores])


def two_sided_p(drawn: Rates) -> float:
    """The share of drawn differences beyond 0 on the side where there are fewer, twice; never quite 0."""
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values such that 5 % bounds the chance of even one false finding among all of them."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def _drawn_trainings(rates: Rates, generator: np.random.Generator) -> Rates:
    """The mean over as many trainings as there are, drawn for each set; rates are (samples, trainings)."""
    samples, count = rates.shape
    if count == 1:
        return rates[:, 0]
    mean = rates.mean(axis=1, keepdims=True)
    stretched = mean + np.sqrt(count / (count - 1)) * (rates - mean)
    chosen = generator.integers(count, size=(samples, count))
    drawn: Rates = np.take_along_axis(stretched, chosen, axis=1).mean(axis=1)
    return drawn


def _require_same_utterances(trainings: Trainings) -> None:
    first = [(score.id, score.reference) for score in trainings[0]]
    for scores in trainings[1:]:
        if [(score.id, score.reference) for score in scores] != first:
            raise RunError("The runs were not scored on the same utterances: compare runs of one test manifest.")
