"""Long recordings as segments that a model can process: cut at pauses, or with an overlap where there is none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asr.text.protocol import BLANK

Samples = npt.NDArray[np.float32]
Marked = npt.NDArray[np.float32]
"""Samples of a recording and a mark for each, from which a detector tells speech, (2, samples)."""
Levels = npt.NDArray[np.floating]
Emission = npt.NDArray[np.float32]

LONGEST = 20.0
"""No segment except the last is longer, without its margins (s)."""
SHORTEST = 1.0
"""No cut is nearer to the one before it (s)."""
PAUSE = 0.4
"""A recording is cut where it is quiet for this long (s): models are trained on utterances, not on lectures."""
SHORT_PAUSE = 0.2
"""Where LONGEST has no such pause, the longest pause of at least this is taken (s)."""
PAUSE_EDGE = 0.3
"""This much of a long pause stays with the speech on either side, and the rest is a segment of its own if it is as long
(s); AN4's utterances begin with 0.3 and end with 0.2 s of silence."""
MARGIN = 2.0
"""Overlap on both sides of a cut where there is no pause (s)."""
LEVEL_SECONDS = 0.01
CONTRAST = 10.0
"""Speech must be this much louder than pauses (dB); else there are no pauses, or nobody speaks."""
QUIET = 0.5
"""Share of the way from the pauses' level to that of speech, in dB, below which it is quiet."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording that is recognized by itself."""

    start: int
    """Where it begins (samples)."""
    samples: Samples
    joined: bool
    """Whether it overlaps the segment before it, because there is no pause between them."""


class Detector(Protocol):
    """Tells speech from pauses."""

    drops_pauses: bool
    """Whether nobody speaks in its pauses for sure, so that they need not be recognized."""
    edge: float
    """How much of a long pause stays with the speech on either side (s)."""

    def mark(self, blocks: Iterable[Samples]) -> Iterator[Marked]:
        """The samples of a recording, which come in blocks, with their marks, in blocks of any size."""

    def levels(self, marks: Samples, size: int) -> tuple[Levels, float | None]:
        """Levels that are higher the more a moment is like speech.

        Args:
            marks: Of a stretch of a recording, (samples,).
            size: Samples that share a level.

        Returns:
            The levels, and the one below which there is a pause; None where speech and pauses cannot be told apart.
        """


class EnergyDetector:
    """Takes for pauses what is quieter than the rest of a stretch."""

    drops_pauses = False
    edge = PAUSE_EDGE

    def mark(self, blocks: Iterable[Samples]) -> Iterator[Marked]:
        """The marks are the samples themselves."""
        return (np.stack([block, block]) for block in blocks)

    def levels(self, marks: Samples, size: int) -> tuple[Levels, float | None]:
        """Smoothed over five (dB)."""
        frames = marks[: len(marks) // size * size].reshape(-1, size).astype(np.float64)
        levels = 10 * np.log10(np.convolve(np.square(frames).mean(axis=1), np.full(5, 0.2), mode="same") + 1e-10)
        low, high = np.quantile(levels, (0.05, 0.95))
        return levels, low + QUIET * (high - low) if high - low >= CONTRAST else None


def cut(
    blocks: Iterable[Samples], sampling_rate: int, step: int, detector: Detector | None = None
) -> Iterator[Segment]:
    """Cuts a recording. Every sample is in exactly one segment, except for the margins of cuts without a pause.

    A detector that drops pauses also cuts recordings that are short, and only what is within its edge of speech is in a
    segment.

    Args:
        blocks: The recording, (samples,) each.
        step: Samples from one frame of the model's output to the next; segments begin at multiples of it, so that
            the frames of two that overlap are the same.
        detector: None takes the energy.
    """
    rest = _Rest(detector or EnergyDetector(), sampling_rate, step)
    longest, most_margin = (round(seconds * sampling_rate / step) * step for seconds in (LONGEST, MARGIN))
    for block in rest.detector.mark(blocks):
        rest.marked = np.concatenate([rest.marked, block], axis=1)
        while rest.marked.shape[1] - rest.core > longest + most_margin:
            if pause := rest.find_pause(longest, SHORT_PAUSE):
                yield from rest.cut(*pause, margin=0)
            else:
                place = rest.quietest(longest)
                yield from rest.cut(place, place, margin=most_margin)
    while rest.detector.drops_pauses and (pause := rest.find_pause(longest + most_margin, PAUSE)):
        yield from rest.cut(*pause, margin=0)
    yield from rest.segment(0, rest.marked.shape[1])


class _Rest:
    """What is not cut yet of a recording."""

    def __init__(self, detector: Detector, sampling_rate: int, step: int) -> None:
        self.detector, self.step = detector, step
        self.marked: Marked = np.zeros((2, 0), dtype=np.float32)
        self.start = 0
        """Where it begins (samples)."""
        self.core = 0
        """How far it overlaps the segment before it (samples)."""
        self._size, self._edge = (round(seconds * sampling_rate) for seconds in (LEVEL_SECONDS, detector.edge))
        # A segment must reach as far as the one that it overlaps.
        self._shortest = round(SHORTEST * sampling_rate)

    def find_pause(self, most: int, least: float) -> tuple[int, int] | None:
        """As `find_pause`, in the next samples behind the overlap, with pauses of `least` (s)."""
        levels, threshold = self._levels(self.core, self.core + most)
        if threshold is None:
            return None
        earliest = -(-max(self._shortest, self.core) // self._size)
        pause = find_pause(levels < threshold, earliest, least, self._edge // self._size)
        return pause and (self._place(pause[0]), self._place(pause[1]))

    def quietest(self, most: int) -> int:
        """The quietest place in the second half of the next samples behind the overlap."""
        levels, _ = self._levels(self.core, self.core + most)
        half = len(levels) // 2
        return self._place(half + int(levels[half:].argmin()))

    def cut(self, end: int, resumed: int, margin: int) -> Iterator[Segment]:
        """Takes off the segment until `end`, and the rest of the pause after it until speech goes on.

        Args:
            margin: How far the segment reaches into the next one, where there is no pause.
        """
        yield from self.segment(0, end + margin, overlapped=margin > 0)
        if end < resumed:
            yield from self.segment(end, resumed)
        begin = resumed - margin
        self.marked, self.start, self.core = self.marked[:, begin:], self.start + begin, margin

    def segment(self, begin: int, end: int, *, overlapped: bool = False) -> Iterator[Segment]:
        """A segment, or none where there is nothing to recognize."""
        joined = begin == 0 and self.core > 0
        if self.detector.drops_pauses:
            levels, threshold = self._levels(begin, end)
            speech = np.flatnonzero(levels >= (-np.inf if threshold is None else threshold)) * self._size
            if not len(speech) and not joined and not overlapped:
                return
            first, last = (begin + int(speech[0]), begin + int(speech[-1])) if len(speech) else (begin, end)
            if not overlapped:
                end = min(end, max(last + self._size + self._edge, 2 * self.core if joined else 0))
            if not joined:
                begin += max(0, first - self._edge - begin) // self.step * self.step
        if begin < end:
            yield Segment(self.start + begin, self.marked[0, begin:end], joined)

    def _levels(self, begin: int, end: int) -> tuple[Levels, float | None]:
        return self.detector.levels(self.marked[1, begin:end], self._size)

    def _place(self, level: int) -> int:
        """Where a level begins, at a multiple of the step."""
        return self.core + level * self._size // self.step * self.step


def find_pause(quiet: npt.NDArray[np.bool_], earliest: int, least: float, edge: int) -> tuple[int, int] | None:
    """Where a segment ends in a pause and where speech goes on: both in the middle of the pause, unless it is long.

    It is the first pause of PAUSE, else the longest of `least`; None where there is none.

    Args:
        quiet: For each LEVEL_SECONDS.
        earliest: No segment ends before it.
        least: (s).
        edge: How many LEVEL_SECONDS of a long pause stay with the speech on either side.
    """

    def length(pause: tuple[int, int]) -> float:
        begin, end = pause
        return (end - max(begin, earliest)) * LEVEL_SECONDS

    pauses = [pause for pause in _runs(quiet) if length(pause) >= least]
    if not pauses:
        return None
    # A pause that reaches the end may go on.
    long = (pause for pause in pauses if length(pause) >= PAUSE and pause[1] < len(quiet))
    begin, end = next(long, None) or max(pauses, key=length)
    ended, resumed = max(begin + edge, earliest), end - edge
    if resumed - ended < edge:
        ended = resumed = (max(begin, earliest) + end) // 2
    return ended, resumed


def _runs(flags: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def stitch(left: Emission, left_start: int, right: Emission, right_start: int) -> Emission:
    """Joins the log-probabilities of two overlapping segments into those of both, each frame once.

    They are joined where the blanks of both are most probable, so that each token is on one side.

    Args:
        left: (frames, tokens).
        left_start: Number of its first frame in the recording.
        right: (frames, tokens), which ends no earlier.
    """
    end = left_start + len(left)
    overlap = end - right_start
    blanks = left[right_start - left_start :, BLANK] + right[:overlap, BLANK]
    quarter = overlap // 4  # near its edges a segment has context on one side only
    around = np.lib.stride_tricks.sliding_window_view(blanks, 5).min(axis=1)
    seam = right_start + quarter + 2 + int(around[quarter : overlap - 4 - quarter].argmax())
    return np.concatenate([left[: seam - left_start], right[seam - right_start :]])
