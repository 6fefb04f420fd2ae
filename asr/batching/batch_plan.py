"""The batch plan: which utterances make each optimizer step, and how ranks split them.

The global batches are one pure function of (durations, keys, settings, seed, epoch), whatever the number of ranks.
Ranks and accumulation only split each of them, by cost. Every utterance is in exactly one batch of an epoch, and every
rank takes the same number of micro-batches, some of which may be empty.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from asr.common.seeds import Keys, uniform
from asr.settings.batching import BatchingConfig, BatchOrder

Indices = npt.NDArray[np.int64]
Seconds = npt.NDArray[np.float64]

REFINEMENTS = 12
RANKS = (2, 3, 4)
"""Small batches are sized for these numbers of ranks, since a plan must not depend on the actual number."""
LARGE = 100
"""Utterances from which a batch splits evenly whatever their number."""
LEFT_OUT = 0.2
"""Share of a small batch that may move to the next one for an even split."""


def plan_epoch(seconds: Seconds, keys: Keys, config: BatchingConfig, seed: int, epoch: int) -> list[Indices]:
    """Plans the global batches of one epoch.

    Utterances of similar length are in a batch, so that little is padded; the noise on the lengths and the order of the
    batches change with the epoch. All batches hold nearly the same amount of audio; small ones have a
    number of utterances that two, three and four ranks can split evenly.

    Args:
        seconds: Durations after speed perturbation (s), shape (utterances,).
        keys: Keys of the utterances' ids, shape (utterances,).

    Returns:
        Utterance numbers of each batch, the shortest first. A batch holds at most `config.global_seconds` of audio, or
        a single utterance.
    """
    noise = 2 * uniform(keys, "length jitter", seed, epoch) - 1
    order = np.argsort(seconds * (1 + config.length_jitter * noise), kind="stable")
    cumulative = np.concatenate([[0.0], np.cumsum(seconds[order])])

    def cut(capacity: float) -> list[int]:
        starts = np.arange(len(order))
        ends = np.searchsorted(cumulative, cumulative[:-1] + capacity, "right") - 1
        counts = ends - starts
        even = starts + np.where(counts < LARGE, EVEN[np.minimum(counts, LARGE)], counts)
        ends = np.where(ends == len(order), ends, even)
        return _cut(len(order), np.maximum(ends, starts + 1).item)

    ends = cut(config.global_seconds)
    mean = float(cumulative[-1]) / len(ends)
    ends = _smallest_capacity(cut, len(ends), min(mean, config.global_seconds), config.global_seconds, ends)
    batch_of = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    order = order[np.lexsort((seconds[order], batch_of))]
    batches = [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    if epoch == 0 and config.order is BatchOrder.short_to_long_first:
        return batches
    draws = uniform(np.arange(len(batches), dtype=np.uint64), "batch order", seed, epoch)
    return [batches[number] for number in np.argsort(draws, kind="stable")]


def split_batch(seconds: Seconds, ranks: int, max_device_seconds: float) -> list[list[slice]]:
    """Splits one global batch into the micro-batches of all ranks, so that the most expensive one costs least.

    The cost of a micro-batch is its padded audio: its utterances times the longest of them.

    Args:
        seconds: Durations of the batch's utterances in ascending order (s).
        ranks: How many processes train together.
        max_device_seconds: Most padded audio of a micro-batch (s); only a single utterance may exceed it.

    Returns:
        For each accumulation step the micro-batch of each rank, as a slice of the batch; neighbouring ranks have
        neighbouring lengths.
    """
    count = len(seconds)

    def cut(capacity: float) -> list[int]:
        def end_of(start: int) -> int:
            costs = np.arange(1, count - start + 1) * seconds[start:]
            return start + max(int(np.searchsorted(costs, capacity, "right")), 1)

        return _cut(count, end_of)

    single = float(seconds[-1])
    limit = max(max_device_seconds, single)
    accumulation_steps = -(-len(cut(limit)) // ranks)
    ends = _smallest_capacity(cut, accumulation_steps * ranks, 0.0, limit, cut(limit))
    ends += [count] * (accumulation_steps * ranks - len(ends))
    slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return [slices[first : first + ranks] for first in range(0, len(slices), ranks)]


def padding_share(micro_batches: Sequence[Seconds]) -> float:
    """Padding as a share of the audio that is computed, of micro-batches with these durations (s)."""
    padded = sum(len(seconds) * float(seconds.max()) for seconds in micro_batches if len(seconds))
    return 1 - sum(float(seconds.sum()) for seconds in micro_batches) / padded


def _even(count: int) -> int:
    """The number of utterances, at most `count` and not much less, that ranks can split most evenly."""

    def idle(number: int) -> float:
        return sum(-(-number // ranks) * ranks / number - 1 for ranks in RANKS) + 0.5 * (count - number) / count

    return min(range(math.ceil(count * (1 - LEFT_OUT)), count + 1), key=idle) if count > 0 else count


EVEN = np.array([_even(count) for count in range(LARGE + 1)])


def _cut(count: int, end_of: Callable[[int], int]) -> list[int]:
    """Cuts 0..count into runs that reach from `start` to `end_of(start)`; gives their ends."""
    ends: list[int] = []
    end = 0
    while end < count:
        end = end_of(end)
        ends.append(end)
    return ends


def _smallest_capacity(
    cut: Callable[[float], list[int]], runs: int, low: float, high: float, ends: list[int]
) -> list[int]:
    """The cut into at most `runs` runs of the smallest capacity, found by bisection between two capacities."""
    for _ in range(REFINEMENTS):
        middle = (low + high) / 2
        trial = cut(middle)
        if len(trial) <= runs:
            ends, high = trial, middle
        else:
            low = middle
    return ends
