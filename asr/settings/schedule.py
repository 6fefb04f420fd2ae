"""Settings of the group `schedule`."""

from dataclasses import dataclass
from enum import Enum


class ScheduleKind(Enum):
    one_cycle = "one_cycle"
    cosine = "cosine"


@dataclass
class ScheduleConfig:
    kind: ScheduleKind
    """one_cycle warms up along a cosine, cosine along a line; both then fall along a cosine."""
    warmup: float
    """Share of the training in which the rate rises."""
    start_ratio: float
    """First rate, as a share of the highest."""
    end_ratio: float
    """Last rate, as a share of the highest."""
