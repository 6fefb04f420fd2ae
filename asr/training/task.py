"""What the trainer asks of a task: training an acoustic model or a language model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from asr.batching.loader import Batch, Examples
from asr.scoring.error_rates import UtteranceScore
from asr.training.distributed import Ranks
from asr.training.train_state import Unit
from asr.training.unreadable import UnreadableUtterances


@dataclass(frozen=True)
class Validation:
    """How a model does on dev after an epoch."""

    score: float
    """Chooses the best model; less is better."""
    metrics: Mapping[str, float]
    """What is logged."""
    sentence: str
    """For the console."""
    panel: Sequence[UtteranceScore] = ()
    """A few utterances, the same after every epoch; none where there is nothing to show."""


class Task(Protocol):
    """What is trained, on which examples, and how it is judged."""

    @property
    def model(self) -> nn.Module:
        """What is trained, on the device."""

    @property
    def objective(self) -> nn.Module:
        """Gives the loss of a batch in one forward pass; the module that DistributedDataParallel wraps."""

    @property
    def train(self) -> Examples:
        """The training examples."""

    @property
    def labels(self) -> Sequence[Sequence[int]]:
        """Of each training example. The summed loss is divided by the labels of the global batch."""

    @property
    def unit(self) -> Unit:
        """Names the sizes of the examples and the score."""

    def loss(self, objective: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch with one example or more, summed over them.

        Args:
            objective: `self.objective`, or its wrapper.
            batch: On the device.
        """

    def no_loss(self, objective: nn.Module) -> Tensor:
        """A loss of zero that depends on every weight: that of an empty micro-batch."""

    def validate(self, model: Any, ranks: Ranks, unreadable: UnreadableUtterances) -> Validation | None:
        """Validates averaged weights on dev, all ranks together and with the same result; None where dev is unreadable.

        Args:
            unreadable: Collects examples that cannot be read any more.
        """

    def save(self, folder: Path, model: Any) -> None:
        """Writes a model folder.

        Raises:
            RunError: It cannot be written.
        """
