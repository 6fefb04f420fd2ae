"""Utterances whose audio vanished or rotted while a training was under way: it goes on without them, to a limit."""

import logging
from collections.abc import Iterable, Iterator

from torch import nn

from asr.batching.loader import Batch, Lost
from asr.batching.steps import Step
from asr.common.errors import RunError
from asr.training.distributed import Ranks
from asr.training.progression import TrainState

log = logging.getLogger(__name__)


class LostUtterances:
    """Collects what this rank could not read, and settles it with the other ranks.

    Args:
        limit: So many different utterances may be lost in a training.
    """

    def __init__(self, limit: int, ranks: Ranks) -> None:
        self.limit, self.ranks = limit, ranks
        self._unsettled: list[Lost] = []

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Passes batches on, noting what they lack."""
        for batch in batches:
            self._unsettled += batch.lost
            yield batch

    @property
    def labels(self) -> int:
        """Labels of what this rank lacks and has not settled yet."""
        return sum(lost.labels for lost in self._unsettled)

    def check(self, done: TrainState) -> None:
        """Finds a training that was begun with a higher limit and has lost more than is allowed now.

        Raises:
            RunError: It has.
        """
        if len(done.lost) > self.limit:
            raise RunError(
                f"This training has lost {len(done.lost)} utterances already, over training.max_lost_utterances="
                f"{self.limit}: raise it to go on, or begin anew with training.restart=true."
            )

    def settle(self, done: TrainState, where: str) -> None:
        """Logs what any rank lacks and counts it, on all ranks alike; called by all of them or by none.

        Raises:
            RunError: More utterances than the limit are lost.
        """
        everything = self.ranks.gather(self._unsettled)
        self._unsettled = []
        for lost in everything:
            log.warning("%s goes on without %s", where, lost.reason)
        done.lost = sorted({*done.lost, *(lost.id for lost in everything)})
        if everything and len(done.lost) > self.limit:
            raise RunError(
                f"{len(done.lost)} utterances could not be read any more, over training.max_lost_utterances="
                f"{self.limit}, the last of them {everything[-1].id}: is the disk still there? The same command goes "
                "on from the last checkpoint."
            )


def rescale(model: nn.Module, step: Step, lost_labels: int) -> float:
    """Makes the gradient of a step the one of a batch that never had the lost utterances.

    The loss was divided by the labels of the planned batch, of which fewer are left: both are but a factor, the same on
    every rank, so nothing is computed anew and nothing but the sum of lost labels is exchanged.

    Returns:
        The factor, by which the loss is to be multiplied too; 0 where nothing is left.
    """
    left = step.labels - lost_labels
    factor = step.labels / left if left else 0.0
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(factor)
    return factor
