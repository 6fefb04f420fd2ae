"""Settings of the group `debug`."""

from dataclasses import dataclass
from enum import Enum


class DebugMode(Enum):
    off = "off"
    one_batch = "one_batch"
    overfit = "overfit"
    profile = "profile"


@dataclass
class DebugConfig:
    mode: DebugMode
    """one_batch tries one step of everything; overfit memorizes one batch; profile shows where the time goes."""
