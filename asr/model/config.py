"""Settings of the acoustic model."""

from dataclasses import dataclass
from enum import Enum


class Cell(Enum):
    rnn = "rnn"
    lstm = "lstm"
    gru = "gru"


@dataclass
class ModelConfig:
    cells: list[Cell]
    """The cell of each recurrent layer, from the lowest; a single one serves all layers."""
    layers: int
    """Bidirectional recurrent layers."""
    hidden: int
    """Units of each direction of a recurrent layer."""
    subsampling: int
    """Feature frames for each output frame: 2 or 4. 4 is faster, 2 leaves room for fast speech."""
    channels: int
    """Channels of the convolutions that subsample."""
    blank_bias: float
    """Log odds of the blank at first, the other logits shrunk as much. Above 0, labels rise where the sound tells of
    them: from even odds a tiny corpus often learns to hold a label through the silence before its word. 0 learns
    faster where there is more data."""
    dropout: float
    """Share of activations dropped between layers in training."""
