"""Settings of the group `model`."""

from dataclasses import dataclass
from enum import Enum


class Cell(Enum):
    rnn = "rnn"
    lstm = "lstm"
    gru = "gru"
    ligru = "ligru"


class CellOrder(Enum):
    blocks = "blocks"
    alternating = "alternating"


@dataclass
class ModelConfig:
    cells: list[Cell]
    """The cells of the recurrent layers, from the lowest: one for each, or fewer, which model.cell_order repeats."""
    cell_order: CellOrder
    """Where there are fewer cells than layers: blocks gives each cell adjacent layers, the lower cells more where the
    layers do not divide evenly; alternating takes the cells in turn."""
    layers: int
    """Recurrent layers."""
    hidden: int
    """Units of each direction of a recurrent layer."""
    bidirectional: bool
    """Whether a second direction reads each utterance from its end. false makes a model that can process a stream."""
    lookahead: int
    """Output frames of the future that a convolution above the layers reads (Wang et al., "Lookahead convolution layer
    for unidirectional recurrent neural networks", 2016); 0 leaves it out. Only where bidirectional is false. Each adds
    model.subsampling times features.hop_ms of latency and recovers part of what the second direction gives."""
    projection: int | None
    """Size to which a linear projection reduces the output of each recurrent layer; null leaves it out. Saves
    parameters and time where model.hidden is large."""
    residual: bool
    """Add the input of each recurrent layer to its output; try it with five layers or more."""
    subsampling: int
    """Feature frames per output frame: 2 or 4. 4 is faster, 2 leaves room for fast speech."""
    channels: int
    """Channels of the convolutions that subsample."""
    forget_bias: float
    """Added to the initial bias of each LSTM's forget gate; 1 lets it remember from the start (Jozefowicz et al.,
    2015). Other cells have no such gate."""
    orthogonal: bool
    """Initialize the recurrent weights of each gate orthogonally (Saxe et al., 2014), so that a state neither vanishes
    nor explodes; else uniformly around 0."""
    blank_bias: float
    """Initial bias of the blank; the weights of the output layer are scaled down by its exponential. Above 0, labels
    peak where the audio supports them: from even odds, a tiny corpus often learns to hold a label through the silence
    before its word. 0 learns faster where there is more data."""
    intermediate_layer: int | None
    """The recurrent layer, counted from 1 at the bottom, that gets a CTC head of its own in training, weighted by
    training.intermediate_weight (Lee & Watanabe, "Intermediate loss regularization for CTC-based speech recognition",
    2021); null leaves it out. Take about the middle of many layers."""
    dropout: float
    """Dropout probability between layers."""
    variational_dropout: bool
    """Drop the same features in all frames of an utterance (Gal & Ghahramani, 2016) instead of others in each frame."""
