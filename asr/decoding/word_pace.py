"""How long a forced alignment takes for each word: words of a wrong transcript are squeezed together or stretched."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.decoding.alignment import WordSpan

Floats = npt.NDArray[np.float64]

DEVIATIONS = 3.5
"""From the median, in robust standard deviations: of normal paces one in 2,000 is so far off."""
TIMES = 2.0
"""A pace must be so many times off too, for a speaker may be very even."""


def word_paces(spans: Sequence[WordSpan], frames: int) -> Floats:
    """The paces of an utterance's words, as logarithms of frames per token, (words, 2).

    The first is up to the next word, or to the end of the audio, and tells what is squeezed, pauses included. The
    second is within the word, and tells what is stretched; nan where there is one token alone.

    Args:
        spans: The words of the transcript's alignment, in order.
        frames: Of the utterance.
    """
    ends = [*(span.start for span in spans[1:]), frames]
    rows = [
        (
            np.log((end - span.start) / (span.last - span.first)),
            np.log((span.end - span.start) / (span.last - span.first)) if span.last - span.first > 1 else np.nan,
        )
        for span, end in zip(spans, ends, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2)


@dataclass(frozen=True)
class UsualPace:
    """What paces are usual in a split."""

    median: Floats
    """Of the logarithms, (2,)."""
    limit: Floats
    """How far from it they are usual, (2,)."""

    @classmethod
    def of(cls, paces: Sequence[Floats]) -> "UsualPace":
        """Learns it from the paces of all utterances."""
        columns = np.concatenate([np.zeros((0, 2)), *paces]).T
        known = [column[~np.isnan(column)] for column in columns]
        median = np.array([np.median(column) if len(column) else 0.0 for column in known])
        deviation = np.array(
            [
                1.4826 * np.median(np.abs(column - middle)) if len(column) else 0.0
                for column, middle in zip(known, median, strict=True)
            ]
        )
        return cls(median, np.maximum(DEVIATIONS * deviation, np.log(TIMES)))

    def squeezed(self, paces: Floats) -> int:
        """How many words have too little time."""
        return int((paces[:, 0] < self.median[0] - self.limit[0]).sum())

    def stretched(self, paces: Floats) -> int:
        """How many words take too long."""
        return int((paces[:, 1] > self.median[1] + self.limit[1]).sum())
