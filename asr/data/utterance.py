"""The utterance: one stretch of audio with its transcript."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of a manifest, in the field names that other toolkits read too."""

    id: str
    """Unique within a corpus."""
    audio_filepath: Path
    """Absolute once read from a manifest, which stores it relative to its own folder."""
    offset: float
    """Where the utterance begins in the file, in seconds."""
    duration: float
    """Length in seconds."""
    text: str
    """The transcript."""
    speaker: str
    """Who speaks; empty where it is not known."""
    sampling_rate: int
    """Samples per second of the file."""

    @property
    def samples(self) -> int:
        """Length in samples."""
        return round(self.duration * self.sampling_rate)


@dataclass(frozen=True, slots=True)
class OneChannel(Utterance):
    """An utterance in one channel of a file with several: no manifest can say so, and conversion takes it out."""

    channel: int
    """From 0 on."""
