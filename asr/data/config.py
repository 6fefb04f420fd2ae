"""Settings of the data: the corpus and the batches."""

from dataclasses import dataclass
from enum import Enum


@dataclass
class DataConfig:
    sampling_rate: int
    """Samples per second that every file must have (Hz); nothing is resampled silently."""
    mixture: dict[str, float]
    """Training manifests by their path in paths.data, as in {train: 1, digits/train.jsonl: 0.3}, and how often an epoch
    reads each of their utterances; `train` is the recipe's own. With 0.3 each is read in three of ten epochs."""


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
