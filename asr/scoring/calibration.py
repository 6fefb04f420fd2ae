"""How far confidences can be trusted: expected calibration error, normalized cross entropy, reliability diagram."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Words whose confidences are alike."""

    words: int
    confidence: float
    """Their mean."""
    right: float
    """The share of them that is correct."""


@dataclass(frozen=True)
class Calibration:
    """How far the confidences of words can be trusted."""

    words: int
    right: float
    """The share of words that is correct."""
    ece: float
    """Expected calibration error: the difference between confidence and the share of correct words, on average over the
    words, in BINS of the same width (Guo et al., "On calibration of modern neural networks", 2017)."""
    nce: float
    """Normalized cross entropy: 1 separates correct from wrong words perfectly, 0 is as good as the share of correct
    words alone, below 0 is misleading (NIST; Siu & Gish, 1999). Not a number where all words are correct, or all are
    wrong."""
    bins: list[Bin]


def calibration(confidences: Floats, right: Floats) -> Calibration:
    """Compares confidences with the words that are correct.

    Args:
        confidences: Between 0 and 1, (words,), at least one.
        right: 1 where a word is correct, else 0, (words,).
    """
    places = np.minimum((confidences * BINS).astype(np.int64), BINS - 1)
    bins = [
        Bin(int(inside.sum()), float(confidences[inside].mean()), float(right[inside].mean()))
        for inside in (places == number for number in range(BINS))
        if inside.any()
    ]
    share = float(right.mean())
    prior = _cross_entropy(np.full(len(right), share), right)
    return Calibration(
        words=len(right),
        right=share,
        ece=sum(one.words * abs(one.confidence - one.right) for one in bins) / len(right),
        nce=(prior - _cross_entropy(confidences, right)) / prior if prior > 0 else float("nan"),
        bins=bins,
    )


def _cross_entropy(confidences: Floats, right: Floats) -> float:
    with np.errstate(divide="ignore"):
        return -float(np.where(right > 0, np.log2(confidences), np.log2(1 - confidences)).mean())
