"""What a training is of, to the trainer: an acoustic model or a language model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from asr.batching.loader import Batch, Examples
from asr.scoring.error_rates import UtteranceScore
from asr.training.distributed import Ranks
from asr.training.lost import LostUtterances
from asr.training.progression import Unit


@dataclass(frozen=True)
class Validation:
    """What a model does on dev after an epoch."""

    score: float
    """By which the best model is chosen; less is better."""
    metrics: Mapping[str, float]
    """What is logged."""
    sentence: str
    """For the console."""
    panel: Sequence[UtteranceScore] = ()
    """A few utterances, the same after every epoch; none where there is nothing to be shown."""


class Task(Protocol):
    """What a training is of."""

    @property
    def model(self) -> nn.Module:
        """What is trained, on the device."""

    @property
    def objective(self) -> nn.Module:
        """What gives the loss of a batch in one forward pass, and so is what the exchange of gradients wraps."""

    @property
    def train(self) -> Examples:
        """The training examples."""

    @property
    def labels(self) -> Sequence[Sequence[int]]:
        """Of each training example. The summed loss is divided by those of the global batch."""

    @property
    def unit(self) -> Unit:
        """Of the sizes of the examples and of the score."""

    def loss(self, objective: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch with one example or more, summed over them.

        Args:
            objective: `self.objective`, or what wraps it.
            batch: On the device.
        """

    def no_loss(self, objective: nn.Module) -> Tensor:
        """A loss of zero that takes every weight along: that of a rank whose share is empty."""

    def validate(self, model: Any, ranks: Ranks, lost: LostUtterances) -> Validation | None:
        """Tries averaged weights on dev, all ranks together; every rank gets the same: None where dev cannot be read.

        Args:
            lost: Takes note of examples that cannot be read any more.
        """

    def save(self, folder: Path, model: Any) -> None:
        """Writes a model folder.

        Raises:
            RunError: It cannot be written.
        """
