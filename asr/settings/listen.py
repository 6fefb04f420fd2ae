"""Settings of the group `listen`."""

from dataclasses import dataclass


@dataclass
class ListenConfig:
    """What `asr listen` writes."""

    utterances: int
    """Utterances of train, the same ones each time."""
    epochs: int
    """Epochs in which each is read: the first ones of a training with the same seed."""
    folder: str | None
    """Where the page is written; null is paths.runs/RECIPE/listen."""
