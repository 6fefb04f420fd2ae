"""How far confidences can be trusted: expected calibration error, normalised cross entropy, reliability."""

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
    """The share of them that is right."""


@dataclass(frozen=True)
class Calibration:
    """What confidences of words are worth."""

    words: int
    right: float
    """The share of words that is right."""
    ece: float
    """Expected calibration error: how far confidence and share of right words are apart, on average over the words, by
    BINS of the same width (Guo et al., "On calibration of modern neural networks", 2017)."""
    nce: float
    """Normalised cross entropy: 1 tells right from wrong without doubt, 0 knows no more than the share of right words,
    below 0 misleads (NIST; Siu & Gish, 1999). Not a number where all words are right, or all wrong."""
    bins: list[Bin]


def calibration(confidences: Floats, right: Floats) -> Calibration:
    """Compares confidences with what was right.

    Args:
        confidences: Between 0 and 1, (words,), at least one.
        right: 1 where a word is right, else 0, (words,).
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
