"""What the trainer asks of a task: training an acoustic model or a language model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from asr.batching.loader import Batch, Examples
from asr.scoring.error_rates import UtteranceScore
from asr.scoring.error_unit import ErrorUnit
from asr.training.distributed import Ranks
from asr.training.train_state import TrainState, UnreadableUtterances

PROCESSOR_USE = "system/processor_use"
MUCH_THE_SAME = 0.8
"""Share of two speeds above which only one is shown."""


@dataclass(frozen=True)
class Unit:
    """What a task calls the sizes of its examples and its score on dev."""

    speed: str
    """Metric of the amount that is processed each second."""
    shown_speed: str
    """Format of that."""
    judged_by: str
    """Name of the score."""
    figure: str
    """Its key among the figures of a model."""
    shown: str
    """Format of a score."""
    size: str
    """Format of the size of an example."""
    device_limit: str
    """The key that bounds the size of a micro-batch."""

    def score(self, value: float) -> str:
        """A score with its name, as "dev WER 8.3 %"."""
        return f"{self.judged_by} {self.shown.format(value).replace('%', ' %')}"

    def speeds(self, metrics: Mapping[str, float]) -> str:
        """The speed by the clock, and where they differ by a quarter in processor time: others use the machine too, or
        threads wait."""
        shown, use = self.shown_speed.format(metrics[self.speed]), metrics.get(PROCESSOR_USE, 1.0)
        if use <= 0 or MUCH_THE_SAME < use < 1 / MUCH_THE_SAME:
            return shown
        in_processor_time, *_ = self.shown_speed.format(metrics[self.speed] / use).split()
        return f"{shown} ({in_processor_time} in processor time)"

    def note(self, state: TrainState, loss: float, learning_rate: float, speeds: str) -> str:
        """The text behind the progress bar; scores and the speed are left out as long as there are none."""
        last = f", last {self.score(state.last_score)}" if math.isfinite(state.last_score) else ""
        best = f", best {self.score(state.best_score)}" if math.isfinite(state.best_score) else ""
        return f"loss {loss:.3f}{last}{best}, lr {learning_rate:.1e}{speeds and f', {speeds}'}"


AUDIO = Unit(
    speed="time/audio_hours_per_hour",
    shown_speed="{:.0f}x real time",
    judged_by="dev WER",
    figure="dev_wer",
    shown="{:.2%}",
    size="{:.1f} s",
    device_limit="batching.max_device_seconds",
)
TEXT = Unit(
    speed="time/units_per_second",
    shown_speed="{:.0f} units/s",
    judged_by="held-out perplexity",
    figure="dev_perplexity",
    shown="{:.2f}",
    size="{:.0f} units",
    device_limit="lm.max_device_units",
)


def audio_unit(errors: ErrorUnit) -> Unit:
    """That of audio, judged by the error rate that counts."""
    return replace(AUDIO, judged_by=f"dev {errors.label}", figure=f"dev_{errors.rate}")


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

    def of_epoch(self, state: TrainState) -> str:
        """The line for the console after an epoch: the mean loss of its steps, that of dev, and the scores."""
        losses = {} if state.epoch_loss is None else {"train": state.epoch_loss}
        losses |= {"dev": self.metrics["dev/loss"]} if "dev/loss" in self.metrics else {}
        shown = "".join(f"{split} loss {loss:.3f}, " for split, loss in losses.items())
        return f"Epoch {state.epoch}: {shown}{self.sentence}"


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
