"""Settings of the group `batching`."""

from dataclasses import dataclass
from enum import Enum


class BatchOrder(Enum):
    random = "random"
    short_to_long_first = "short_to_long_first"


@dataclass
class BatchingConfig:
    global_seconds: float
    """Audio in one optimizer step over all ranks (s). Larger steps are smoother but fewer."""
    max_device_seconds: float
    """Padded audio that one rank takes at once (s); lower it when memory runs out: the gradients stay the same."""
    length_jitter: float
    """Relative noise on the lengths before sorting: more mixes batches better and pads more."""
    order: BatchOrder
    """Order of the batches in the first epoch; short_to_long_first is SortaGrad (Deep Speech 2)."""
