"""The steps of a training: what each rank takes of each global batch, from any point of the plan onwards."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from asr.data.config import BatchingConfig
from asr.data.loader import Share
from asr.data.plan import Indices, padding_share, plan_epoch, split_batch
from asr.features.inputs import Inputs


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
    labels: int
    """Labels of the global batch: what the summed loss is divided by."""
    seconds: float
    """Audio of the global batch (s)."""
    padding: float
    """Padded audio that holds nothing, over all ranks, as a share of what is computed."""

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
        inputs: Inputs,
        labels: Sequence[Sequence[int]],
        config: BatchingConfig,
        seed: int,
        rank: int,
        ranks: int,
        limit: int | None = None,
    ) -> None:
        self.inputs, self.config, self.seed, self.rank, self.ranks = inputs, config, seed, rank, ranks
        self.limit = limit
        self.label_counts = np.array([len(item) for item in labels])
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
                    int(self.label_counts[batch].sum()),
                    float(seconds[batch].sum()),
                    padding_share([seconds[batch][share] for shares in split for share in shares]),
                )
            epoch, position = epoch + 1, 0

    def _plan_epoch(self, epoch: int) -> tuple[np.ndarray, list[Indices]]:
        seconds = self.inputs.seconds(epoch)
        return seconds, plan_epoch(seconds, self.inputs.keys, self.config, self.seed, epoch)[: self.limit]


def shares_of(steps: Iterable[Step]) -> Iterator[Share]:
    """The shares of steps, one after the other: what a loader is given."""
    for step in steps:
        yield from step.shares
