"""Settings of the group `schedule`."""

from dataclasses import dataclass
from enum import Enum


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
