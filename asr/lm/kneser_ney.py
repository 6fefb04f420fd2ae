"""Counts of n-grams, and interpolated modified Kneser-Ney smoothing of them.

Chen & Goodman, "An empirical study of smoothing techniques for language modeling", 1999, section 3.4, with adjusted
counts, special units and pruning as KenLM's `lmplz` has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError
from asr.lm.text import BEGIN_ID, SPECIAL, UNKNOWN_ID, Integers, Text

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """The distinct n-grams of one order, sorted by key, and their counts."""

    keys: Integers
    """Number of the n-gram without its last unit, times the size of the vocabulary, plus the last unit, (n-grams,)."""
    contexts: Integers
    """Number of the n-gram without its last unit, among those one shorter, (n-grams,)."""
    suffixes: Integers
    """Number of the n-gram without its first unit, among those one shorter, (n-grams,)."""
    last: Integers
    """Last unit, (n-grams,)."""
    occurrences: Integers
    """How often the n-gram occurs in the text, (n-grams,)."""
    adjusted: Integers
    """Occurrences in the highest order and where <s> begins the n-gram; elsewhere the number of distinct units before
    it, (n-grams,)."""


def count_ngrams(text: Text, order: int) -> list[Order]:
    """Counts the n-grams of a text as KenLM does (Heafield et al., "Scalable modified Kneser-Ney language model
    estimation", 2013).

    An n-gram has <s> only as its first unit. Unigrams have the numbers of their units, <unk> among them, which never
    occurs in a text.

    Returns:
        From unigrams up to the order, or to the longest that a sentence has.
    """
    size = len(text.vocabulary)
    # The number of the n-gram that ends at each position; -1 where the sentence begins later.
    numbers = text.units
    unigrams = np.arange(size)
    counts = np.bincount(text.units[text.places > 0], minlength=size)
    none = np.zeros(size, dtype=np.int64)
    orders = [Order(unigrams, none, none, unigrams, counts, counts)]
    begins = unigrams == BEGIN_ID
    for length in range(2, order + 1):
        positions = np.flatnonzero(text.places >= length - 1)
        if not len(positions):
            break
        keys = numbers[positions - 1] * size + text.units[positions]
        distinct, first, inverse, occurrences = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        suffixes = numbers[positions[first]]
        shorter = orders[-1]
        before = np.bincount(suffixes, minlength=len(shorter.keys))
        orders[-1] = replace(shorter, adjusted=np.where(begins, shorter.occurrences, before))
        orders.append(Order(distinct, distinct // size, suffixes, distinct % size, occurrences, occurrences))
        begins = text.places[positions[first]] == length - 1
        numbers = np.full(len(text.units), -1, dtype=np.int64)
        numbers[positions] = inverse
    return orders


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of one order with their probabilities, sorted by key."""

    keys: Integers
    """As of `Order`, with the numbers of this model, (n-grams,)."""
    contexts: Integers
    last: Integers
    log_probs: Floats
    """log10 of the probability of the last unit after the others, (n-grams,)."""
    backoffs: Floats
    """log10 of the back-off weight: the factor of the shorter n-gram's probability where the longer one is missing,
    (n-grams,)."""


@dataclass(frozen=True)
class NgramModel:
    """An n-gram model, a table for each order from 1."""

    vocabulary: Sequence[str]
    tables: Sequence[NgramTable]
    discounts: Sequence[Sequence[float]]
    """For each order, the discounts of counts of 1, 2 and 3 or more."""
    fallbacks: Sequence[int]
    """Orders whose discounts could not be estimated from the text."""

    @property
    def order(self) -> int:
        return len(self.tables)


def estimate(text: Text, order: int, prune: Sequence[int], fallback: Sequence[float]) -> NgramModel:
    """Estimates an n-gram model.

    Args:
        order: Units of the longest n-grams.
        prune: By order, n-grams that occur this often or less are left out; the last holds for all higher orders.
        fallback: Discounts of an order whose own cannot be estimated.

    Raises:
        DataError: The text is empty, or nothing is left after pruning.
    """
    if len(text.vocabulary) == len(SPECIAL):
        raise DataError("The text of the language model has no word: add transcripts, or files with lm.texts.")
    orders = count_ngrams(text, order)
    found = [discounts(counted.adjusted) for counted in orders]
    used = [tuple(fallback) if own is None else own for own in found]
    tables: list[NgramTable] = []
    lower, kept_before = np.zeros(1), np.zeros(1, dtype=np.int64)
    for level, counted in enumerate(orders):
        kept = counted.occurrences > prune[min(level, len(prune) - 1)]
        if level == 0:
            kept[: len(SPECIAL)] = True
        contexts = 1 if level == 0 else len(orders[level - 1].keys)
        shares, gammas = _discounted(counted, np.array([0.0, *used[level]]), kept, contexts)
        if level == 0:
            # Every unit except <s> gets an equal part of what the discounts took; <s> is given, not predicted.
            probabilities = shares + gammas[0] / (np.count_nonzero(kept) - 1)
            probabilities[BEGIN_ID] = 1.0
        else:
            probabilities = shares + gammas[counted.contexts] * lower[counted.suffixes]
            shorter = tables[-1]
            with np.errstate(divide="ignore"):
                shorter.backoffs[:] = np.log10(gammas[kept_before])
        numbers = np.flatnonzero(kept)
        tables.append(_table(counted, numbers, kept_before, probabilities, len(text.vocabulary)))
        lower, kept_before = probabilities, numbers
    tables = [table for table in tables if len(table.keys)]
    if len(tables) == 1:
        raise DataError("No n-gram of the language model's text is left: lower lm.prune or add text with lm.texts.")
    fallbacks = [level for level, own in enumerate(found, start=1) if own is None]
    return _renumbered(NgramModel(text.vocabulary, tables, used, fallbacks), kept_unigrams=tables[0].last)


def discounts(adjusted: Integers) -> tuple[float, float, float] | None:
    """The discounts of counts of 1, 2 and 3 or more of the n-grams of one order (Chen & Goodman, equation 26); None
    where a count from 1 to 4 does not occur, or a discount is not between 0 and its count."""
    n = np.bincount(np.clip(adjusted, 0, 5), minlength=6).astype(np.float64)
    if (n[1:5] == 0).any():
        return None
    y = n[1] / (n[1] + 2 * n[2])
    one, two, three = (count - (count + 1) * y * n[count + 1] / n[count] for count in (1, 2, 3))
    if not (0 <= one <= 1 and 0 <= two <= 2 and 0 <= three <= 3):
        return None
    return float(one), float(two), float(three)


def _discounted(counted: Order, discount: Floats, kept: npt.NDArray[np.bool_], contexts: int) -> tuple[Floats, Floats]:
    """The discounted share of each n-gram in its context, and the share that each context leaves to shorter n-grams.

    A pruned n-gram leaves its whole count.
    """
    counts = counted.adjusted.astype(np.float64)
    taken = np.where(kept, discount[np.minimum(counted.adjusted, 3)], counts)
    totals = np.bincount(counted.contexts, counts, minlength=contexts)
    left = np.bincount(counted.contexts, taken, minlength=contexts)
    # A context whose n-grams never occur, such as the last unit of sentences, leaves everything.
    gammas = np.divide(left, totals, out=np.ones(contexts), where=totals > 0)
    return (counts - taken) / totals[counted.contexts], gammas


def _table(counted: Order, numbers: Integers, kept_before: Integers, probabilities: Floats, size: int) -> NgramTable:
    """The kept n-grams of an order, their contexts numbered among the kept ones."""
    contexts = np.searchsorted(kept_before, counted.contexts[numbers])
    last = counted.last[numbers]
    # Not above 0, which rounding could cause.
    log_probs = np.minimum(np.log10(probabilities[numbers]), 0.0)
    return NgramTable(contexts * size + last, contexts, last, log_probs, np.zeros(len(numbers)))


def _renumbered(model: NgramModel, kept_unigrams: Integers) -> NgramModel:
    """The model over a vocabulary without the units that were pruned."""
    if len(kept_unigrams) == len(model.vocabulary):
        return model
    tables = []
    for table in model.tables:
        last = np.searchsorted(kept_unigrams, table.last)
        tables.append(replace(table, keys=table.contexts * len(kept_unigrams) + last, last=last))
    return replace(model, vocabulary=[model.vocabulary[unit] for unit in kept_unigrams], tables=tables)


@dataclass(frozen=True)
class Perplexity:
    """How well a model predicts a text; ends of sentences are predicted too, as KenLM counts."""

    sentences: int
    units: int
    """Predicted units, the ends of sentences included."""
    unknown: int
    """Out-of-vocabulary units."""
    including: float
    """Perplexity over all units, an unknown one with the probability of <unk>."""
    excluding: float
    """Perplexity over the known units."""


def log_probs(model: NgramModel, text: Text) -> Floats:
    """log10 probabilities of the units of a text whose vocabulary is the model's, (units,), without those of <s>."""
    size = len(model.vocabulary)
    numbers = text.units
    result = model.tables[0].log_probs[text.units].copy()
    for level in range(1, model.order):
        shorter, table = model.tables[level - 1], model.tables[level]
        positions = np.flatnonzero((text.places >= level) & (np.roll(numbers, 1) >= 0))
        before = numbers[positions - 1]
        keys = before * size + text.units[positions]
        places = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
        found = table.keys[places] == keys
        result[positions] = np.where(found, table.log_probs[places], result[positions] + shorter.backoffs[before])
        numbers = np.full(len(text.units), -1, dtype=np.int64)
        numbers[positions[found]] = places[found]
    predicted: Floats = result[text.places > 0]
    return predicted


def perplexity(model: NgramModel, text: Text) -> Perplexity:
    """The perplexity of a model on a text whose vocabulary is the model's."""
    scores, units = log_probs(model, text), text.units[text.places > 0]
    known = units != UNKNOWN_ID
    return Perplexity(
        sentences=int((text.places == 0).sum()),
        units=len(units),
        unknown=int((~known).sum()),
        including=float(10 ** -scores.mean()),
        excluding=float(10 ** -scores[known].mean()),
    )
