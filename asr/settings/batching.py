"""Settings of the group `batching`."""

from dataclasses import dataclass
from enum import Enum


class BatchOrder(Enum):
    random = "random"
    short_to_long_first = "short_to_long_first"


@dataclass
class BatchingConfig:
    global_seconds: float
    """Audio in one optimizer step, all ranks together (s). Larger batches make smoother but fewer steps."""
    max_device_seconds: float
    """Padded audio in a micro-batch of one rank (s); lower it when memory runs out: the gradients stay the same."""
    length_jitter: float
    """Relative noise on the lengths before sorting: more mixes the batches better, but pads more."""
    order: BatchOrder
    """Order of the batches in the first epoch; short_to_long_first is SortaGrad (Deep Speech 2)."""
