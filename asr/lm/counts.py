"""Counts of the n-grams of a text, a table for each order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
UNKNOWN_ID, BEGIN_ID, END_ID = range(3)
"""The first units of every vocabulary, as KenLM has them."""


@dataclass(frozen=True)
class Text:
    """Sentences as numbers of units, one after the other: <s> a b </s> <s> c </s>."""

    vocabulary: Sequence[str]
    """Unit of each number, <unk>, <s> and </s> first."""
    units: Integers
    """(positions,)."""
    places: Integers
    """Place of each position in its sentence, 0 at <s>, (positions,)."""


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
        orders[-1] = _with_adjusted(shorter, np.where(begins, shorter.occurrences, before))
        orders.append(Order(distinct, distinct // size, suffixes, distinct % size, occurrences, occurrences))
        begins = text.places[positions[first]] == length - 1
        numbers = np.full(len(text.units), -1, dtype=np.int64)
        numbers[positions] = inverse
    return orders


def _with_adjusted(order: Order, adjusted: Integers) -> Order:
    return Order(order.keys, order.contexts, order.suffixes, order.last, order.occurrences, adjusted)
