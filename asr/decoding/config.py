"""Settings of the decoder."""

from dataclasses import dataclass
from enum import Enum


class DecoderKind(Enum):
    greedy = "greedy"


@dataclass
class DecoderConfig:
    kind: DecoderKind
    """greedy takes the best token of each frame."""
