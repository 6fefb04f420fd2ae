"""Settings of the groups `optimizer` and `schedule`."""

from dataclasses import dataclass
from enum import Enum


@dataclass
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter, 2019)."""

    learning_rate: float
    """The peak learning rate of the schedule."""
    beta1: float
    """Decay of the running mean of the gradient."""
    beta2: float
    """Decay of the running mean of the squared gradient; lower it for short trainings."""
    weight_decay: float
    """Decay of weight matrices; biases and normalization layers are left out."""


class ScheduleKind(Enum):
    one_cycle = "one_cycle"
    cosine = "cosine"


@dataclass
class ScheduleConfig:
    kind: ScheduleKind
    """one_cycle warms up along a cosine, cosine linearly; both then decay along a cosine."""
    warmup: float
    """Share of the training in which the learning rate rises."""
    start_ratio: float
    """Initial learning rate, as a fraction of the peak."""
    end_ratio: float
    """Final learning rate, as a fraction of the peak."""
