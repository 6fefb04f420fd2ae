"""The steps of a training: what each rank takes of each global batch, from any point of the plan onwards."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from asr.batching.batch_plan import Indices, padding_share, plan_epoch, split_batch
from asr.batching.loader import Examples, Share
from asr.settings.batching import BatchingConfig


@dataclass(frozen=True)
class Step:
    """One optimizer step."""

    epoch: int
    position: int
    """Number of the step in its epoch, from 0."""
    epoch_steps: int
    """Steps in this epoch."""
    shares: list[Share]
    """What this rank takes, one share after the other."""
    utterances: Indices
    """The global batch."""
    label_count: Callable[[int], int] = field(repr=False, compare=False)
    """Of an utterance, by its number."""
    seconds: float
    """Audio of the global batch (s)."""
    padding: float
    """Padded audio that holds nothing, over all ranks, as a share of what is computed."""

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
        inputs: The training utterances.
        labels: Labels of every utterance.
        config: Sizes of the batches.
        rank: This rank.
        ranks: How many train together.
        limit: Ends each epoch after so many steps; for debugging.
    """

    def __init__(
        self,
        inputs: Examples,
        labels: Sequence[Sequence[int]],
        config: BatchingConfig,
        seed: int,
        rank: int,
        ranks: int,
        limit: int | None = None,
    ) -> None:
        self.inputs, self.config, self.seed, self.rank, self.ranks = inputs, config, seed, rank, ranks
        self.limit = limit
        self.labels = labels
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
                    [Share(epoch, batch[shares[self.rank]]) for shares in split],
                    batch,
                    self._label_count,
                    float(seconds[batch].sum()),
                    padding_share([seconds[batch][share] for shares in split for share in shares]),
                )
            epoch, position = epoch + 1, 0

    def _label_count(self, number: int) -> int:
        return len(self.labels[number])

    def largest(self, epoch: int) -> dict[str, Share]:
        """What takes the most memory of all ranks' shares in an epoch: the dearest share and the longest utterance's.

        Returns:
            Both by their description, or the one that is both.
        """
        seconds, batches = self._plan(epoch)
        counts = np.array([len(batch) for batch in batches])
        longest = np.array([seconds[batch[-1]] for batch in batches])
        # A batch is split only as far as the ranks and the memory of each demand.
        parts = np.maximum(np.ceil(counts * longest / self.config.max_device_seconds / self.ranks), 1) * self.ranks
        dearest = self._dearest(seconds, batches[int(np.argmax(np.ceil(counts / parts) * longest))], epoch)
        last = self._dearest(seconds, batches[int(longest.argmax())], epoch, longest=True)
        if np.array_equal(dearest.utterances, last.utterances):
            return {"The largest batch": dearest}
        return {"The largest batch": dearest, "The batch of the longest utterance": last}

    def _dearest(self, seconds: np.ndarray, batch: Indices, epoch: int, longest: bool = False) -> Share:
        split = split_batch(seconds[batch], self.ranks, self.config.max_device_seconds)
        shares = [batch[share] for shares in split for share in shares if len(batch[share])]
        return Share(epoch, max(shares, key=lambda share: float(seconds[share].max()) * (1 if longest else len(share))))

    def _plan_epoch(self, epoch: int) -> tuple[np.ndarray, list[Indices]]:
        seconds, keys, read = self.inputs.seconds(epoch), self.inputs.keys, self.inputs.in_epoch(epoch)
        if read is None:
            return seconds, plan_epoch(seconds, keys, self.config, self.seed, epoch)[: self.limit]
        batches = plan_epoch(seconds[read], keys[read], self.config, self.seed, epoch)
        return seconds, [read[batch] for batch in batches][: self.limit]


def shares_of(steps: Iterable[Step]) -> Iterator[Share]:
    """The shares of steps, one after the other: what a loader is given."""
    for step in steps:
        yield from step.shares
