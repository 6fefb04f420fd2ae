"""The steps of a training: the micro-batches of each rank for each global batch, from any point of the plan on."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from asr.batching.batch_plan import Indices, Seconds, padding_share, plan_epoch, split_batch
from asr.batching.loader import Examples, MicroBatch
from asr.settings.batching import BatchingConfig


@dataclass(frozen=True)
class Step:
    """One optimizer step."""

    epoch: int
    position: int
    """Number of the step in its epoch, from 0."""
    epoch_steps: int
    """Steps in this epoch."""
    micro_batches: list[MicroBatch]
    """What this rank accumulates the gradient over."""
    utterances: Indices
    """The global batch."""
    label_count: Callable[[int], int] = field(repr=False, compare=False)
    """Labels of an utterance, by its number."""
    seconds: float
    """Audio of the global batch (s)."""
    padding: float
    """Padding over all ranks, as a share of the audio that is computed."""

    @cached_property
    def labels(self) -> int:
        """Labels of the global batch: what the summed loss is divided by."""
        return sum(self.label_count(number) for number in self.utterances.tolist())

    @property
    def ends_epoch(self) -> bool:
        """Whether it is the last of its epoch."""
        return self.position + 1 == self.epoch_steps


class Steps:
    """The steps of one rank.

    Args:
        labels: Labels of every example.
        ranks: How many train together.
    """

    limit: int | None = None
    """Most steps of an epoch, for debugging and benchmarks; set before the first epoch is planned."""

    def __init__(
        self,
        examples: Examples,
        labels: Sequence[Sequence[int]],
        config: BatchingConfig,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.examples, self.labels, self.config, self.seed = examples, labels, config, seed
        self.rank, self.ranks = rank, ranks
        self._plan = functools.lru_cache(maxsize=2)(self._plan_epoch)

    def start(self, epoch: int, position: int, epochs: int) -> Iterator[Step]:
        """The steps from a position of an epoch to the end of the last epoch."""
        while epoch < epochs:
            seconds, batches = self._plan(epoch)
            for number in range(position, len(batches)):
                batch = batches[number]
                split = split_batch(seconds[batch], self.ranks, self.config.max_device_seconds)
                yield Step(
                    epoch,
                    number,
                    len(batches),
                    [MicroBatch(epoch, batch[of_ranks[self.rank]]) for of_ranks in split],
                    batch,
                    self._label_count,
                    float(seconds[batch].sum()),
                    padding_share([seconds[batch][part] for of_ranks in split for part in of_ranks]),
                )
            epoch, position = epoch + 1, 0

    def _label_count(self, number: int) -> int:
        return len(self.labels[number])

    def largest(self, epoch: int) -> dict[str, MicroBatch]:
        """What takes the most memory on any rank in an epoch: the micro-batch with the most padded audio, and the one
        with the longest utterance.

        Returns:
            Both by their description, or the one that is both.
        """
        seconds, batches = self._plan(epoch)
        counts = np.array([len(batch) for batch in batches])
        longest = np.array([seconds[batch[-1]] for batch in batches])
        # A batch is split only as far as the ranks and the memory of each demand.
        parts = np.maximum(np.ceil(counts * longest / self.config.max_device_seconds / self.ranks), 1) * self.ranks
        most_padded = batches[int(np.argmax(np.ceil(counts / parts) * longest))]

        def largest_part(batch: Indices, size: Callable[[Indices], float]) -> MicroBatch:
            split = split_batch(seconds[batch], self.ranks, self.config.max_device_seconds)
            parts = [batch[part] for of_ranks in split for part in of_ranks if len(batch[part])]
            return MicroBatch(epoch, max(parts, key=size))

        largest = largest_part(most_padded, lambda part: len(part) * float(seconds[part].max()))
        last = largest_part(batches[int(longest.argmax())], lambda part: float(seconds[part].max()))
        if np.array_equal(largest.utterances, last.utterances):
            return {"The largest batch": largest}
        return {"The largest batch": largest, "The batch of the longest utterance": last}

    def _plan_epoch(self, epoch: int) -> tuple[Seconds, list[Indices]]:
        seconds, keys, read = self.examples.seconds(epoch), self.examples.keys, self.examples.in_epoch(epoch)
        if read is None:
            return seconds, plan_epoch(seconds, keys, self.config, self.seed, epoch)[: self.limit]
        batches = plan_epoch(seconds[read], keys[read], self.config, self.seed, epoch)
        return seconds, [read[batch] for batch in batches][: self.limit]


def micro_batches_of(steps: Iterable[Step]) -> Iterator[MicroBatch]:
    """The micro-batches of steps, one after the other: what a loader is given."""
    for step in steps:
        yield from step.micro_batches
