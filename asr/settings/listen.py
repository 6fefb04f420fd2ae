"""Settings of the group `listen`."""

from dataclasses import dataclass


@dataclass
class ListenConfig:
    """What `asr listen` writes."""

    utterances: int
    """Utterances of train, always the same ones."""
    epochs: int
    """Epochs whose augmentation is written: the first ones of a training with the same seed."""
    folder: str | None
    """Where the page is written; null is paths.runs/RECIPE/listen."""
