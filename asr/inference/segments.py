"""Long recordings as segments that a model can process: cut at pauses, or with an overlap where there is none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.text.protocol import BLANK

Samples = npt.NDArray[np.float32]
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


def cut(blocks: Iterable[Samples], sampling_rate: int, step: int) -> Iterator[Segment]:
    """Cuts a recording. Every sample is in exactly one segment, except for the margins of cuts without a pause.

    Args:
        blocks: The recording, (samples,) each.
        step: Samples from one frame of the model's output to the next; segments begin at multiples of it, so that
            the frames of two that overlap are the same.
    """
    longest, most_margin = (round(seconds * sampling_rate / step) * step for seconds in (LONGEST, MARGIN))
    waiting = np.zeros(0, dtype=np.float32)
    start, core = 0, 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) - core > longest + most_margin:
            looked_at = waiting[core : core + longest]
            # A segment must reach as far as the one that it overlaps.
            pause = find_pause(looked_at, sampling_rate, max(round(SHORTEST * sampling_rate), core))
            margin = 0 if pause else most_margin
            end, resumed = pause or 2 * (quietest(looked_at, sampling_rate),)
            end, resumed = core + end // step * step, core + resumed // step * step
            yield Segment(start, waiting[: end + margin], core > 0)
            if end < resumed:
                yield Segment(start + end, waiting[end:resumed], False)
            waiting, start, core = waiting[resumed - margin :], start + resumed - margin, margin
    if len(waiting):
        yield Segment(start, waiting, core > 0)


def find_pause(samples: Samples, sampling_rate: int, earliest: int) -> tuple[int, int] | None:
    """Where a segment ends in a pause and where speech goes on: both in the middle of the pause, unless it is long.

    It is the first pause of PAUSE, else the longest of SHORT_PAUSE; None where there is none.

    Args:
        samples: (samples,).
        earliest: No segment ends before it (samples).
    """
    levels, size = _levels(samples, sampling_rate)
    low, high = np.quantile(levels, (0.05, 0.95))
    if high - low < CONTRAST:
        return None
    first, edge = -(-earliest // size), round(PAUSE_EDGE / LEVEL_SECONDS)

    def length(pause: tuple[int, int]) -> float:
        begin, end = pause
        return (end - max(begin, first)) * LEVEL_SECONDS

    pauses = [pause for pause in _runs(levels < low + QUIET * (high - low)) if length(pause) >= SHORT_PAUSE]
    if not pauses:
        return None
    # A pause that reaches the end may go on.
    long = (pause for pause in pauses if length(pause) >= PAUSE and pause[1] < len(levels))
    begin, end = next(long, None) or max(pauses, key=length)
    ended, resumed = max(begin + edge, first), end - edge
    if resumed - ended < edge:
        ended = resumed = (max(begin, first) + end) // 2
    return ended * size, resumed * size


def quietest(samples: Samples, sampling_rate: int) -> int:
    """The quietest place in the second half (samples)."""
    levels, size = _levels(samples, sampling_rate)
    half = len(levels) // 2
    return (half + int(levels[half:].argmin())) * size


def _levels(samples: Samples, sampling_rate: int) -> tuple[npt.NDArray[np.float64], int]:
    """The level every LEVEL_SECONDS, smoothed over five (dB), and how many samples these are."""
    size = round(LEVEL_SECONDS * sampling_rate)
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    return 10 * np.log10(np.convolve(np.square(frames).mean(axis=1), np.full(5, 0.2), mode="same") + 1e-10), size


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
