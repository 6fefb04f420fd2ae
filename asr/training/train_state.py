"""How far a training is, and which utterances it goes without, since they became unreadable."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from torch import nn

from asr.batching.loader import Batch, UnreadableUtterance
from asr.batching.steps import Step
from asr.common.documents import from_json
from asr.common.errors import RunError
from asr.training.distributed import Ranks

log = logging.getLogger(__name__)


@dataclass
class TrainState:
    """How far a training is: everything in a checkpoint except tensors."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """The epoch of the next step."""
    position: int = 0
    """Number of the next step in its epoch."""
    seconds: float = 0.0
    """Time spent on training, over all restarts (s)."""
    skipped_steps: int = 0
    """Steps whose loss or gradient was not finite."""
    lost: list[str] = field(default_factory=list)
    """Ids of utterances that became unreadable during the training."""
    best_score: float = float("inf")
    """Best score on the dev split, such as the WER; less is better."""
    best_epoch: int = 0
    """Epochs after which the kept model had it: the last of equals, since small dev splits have many."""
    improved_epoch: int = 0
    """Epochs after which it was first reached: the best epoch, wherever one is told."""
    last_score: float = float("inf")
    """Score on the dev split after the last epoch; infinite where an earlier version did not keep it."""
    loss_sum: float = 0.0
    """Of the steps of this epoch whose loss was finite."""
    loss_steps: int = 0
    """Their number."""
    finished: bool = False

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """The state in a checkpoint; one of an earlier version calls the score a WER.

        Raises:
            TypeError: A value is of another type.
            ValueError: It is at no step.
        """
        score = {"best_score": saved["best_wer"]} if "best_wer" in saved else {}
        state = from_json(cls, {key: value for key, value in saved.items() if key != "best_wer"} | score)
        if min(state.step, state.epoch, state.position) < 0:
            raise ValueError(f"it is at step {state.step}, {state.position} in epoch {state.epoch}")
        return state

    @property
    def epoch_loss(self) -> float | None:
        """The mean loss of the steps of this epoch; None where none was finite."""
        return self.loss_sum / self.loss_steps if self.loss_steps else None

    @property
    def epoch_metrics(self) -> dict[str, float]:
        """What is logged of an epoch beside its validation."""
        return {} if self.epoch_loss is None else {"train/epoch_loss": self.epoch_loss}

    def advance(self, step: Step, loss: float) -> None:
        """Counts a step with its loss."""
        if step.position == 0:
            self.loss_sum, self.loss_steps = 0.0, 0
        if math.isfinite(loss):
            self.loss_sum, self.loss_steps = self.loss_sum + loss, self.loss_steps + 1
        self.step += 1
        self.epoch, self.position = (step.epoch + 1, 0) if step.ends_epoch else (step.epoch, step.position + 1)

    def validated(self, score: float, keep_last: bool = False) -> bool:
        """Records the score on dev after an epoch; says whether to keep the model.

        Args:
            keep_last: Whether the last model counts as the best, whatever its score.
        """
        self.last_score = score
        if score < self.best_score:
            self.improved_epoch = self.epoch
        if score > self.best_score and not keep_last:
            return False
        self.best_score, self.best_epoch = score, self.epoch
        return True


class UnreadableUtterances:
    """Collects the utterances that this rank cannot read, and records those of all ranks.

    Args:
        limit: How many different utterances may be unreadable in a training.
    """

    def __init__(self, limit: int, ranks: Ranks) -> None:
        self.limit, self.ranks = limit, ranks
        self._unrecorded: list[UnreadableUtterance] = []

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Passes batches on and collects what they lack."""
        for batch in batches:
            self._unrecorded += batch.unreadable
            yield batch

    @property
    def labels(self) -> int:
        """Labels of the utterances that this rank has collected and not yet recorded."""
        return sum(utterance.labels for utterance in self._unrecorded)

    def check(self, state: TrainState) -> None:
        """Refuses a training that began with a higher limit and has exceeded the present one.

        Raises:
            RunError: It has.
        """
        if len(state.lost) > self.limit:
            raise RunError(
                f"This training already goes without {len(state.lost)} unreadable utterances, more than "
                f"training.max_lost_utterances={self.limit}: raise it to go on, or start over with "
                "training.restart=true."
            )

    def record(self, state: TrainState, where: str) -> None:
        """Logs the unreadable utterances of all ranks and adds them to the state; all ranks call it together.

        Raises:
            RunError: There are more than the limit.
        """
        everything = self.ranks.gather(self._unrecorded)
        self._unrecorded = []
        for utterance in everything:
            log.warning("%s goes on without %s", where, utterance.reason)
        state.lost = sorted({*state.lost, *(utterance.id for utterance in everything)})
        if everything and len(state.lost) > self.limit:
            raise RunError(
                f"{len(state.lost)} utterances have become unreadable, more than training.max_lost_utterances="
                f"{self.limit}, the last of them {everything[-1].id}: is the disk still there? The same command goes "
                "on from the last checkpoint."
            )


def rescale(model: nn.Module, step: Step, unreadable_labels: int) -> float:
    """Makes the gradient of a step that of a batch without the unreadable utterances.

    The loss was divided by the labels of the planned batch, which are more than those that were read. The ratio is the
    same on every rank, so nothing is computed again, and only the sum of unreadable labels is all-reduced.

    Returns:
        The factor, by which the loss is to be multiplied too; 0 where nothing is left.
    """
    left = step.labels - unreadable_labels
    factor = step.labels / left if left else 0.0
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(factor)
    return factor
