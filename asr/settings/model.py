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
    """The cells of the recurrent layers, from the lowest: one for each, or fewer, which model.cell_order spreads."""
    cell_order: CellOrder
    """Where there are fewer cells than layers: blocks gives each cell layers that lie together, the lower cells more
    where it does not divide; alternating takes the cells in turn."""
    layers: int
    """Recurrent layers."""
    hidden: int
    """Units of each direction of a recurrent layer."""
    bidirectional: bool
    """Whether a second direction reads each utterance from its end. false makes a model that can hear a stream."""
    lookahead: int
    """Output frames of the future that a convolution above the layers reads (Wang et al., "Lookahead convolution layer
    for unidirectional recurrent neural networks", 2016); 0 leaves it out. Only where bidirectional is false. Each costs
    model.subsampling times features.hop_ms of delay and wins back some of what the second direction knew."""
    projection: int | None
    """Features to which a linear map brings the output of each recurrent layer; null leaves it out. Saves parameters
    and time where model.hidden is large."""
    residual: bool
    """Add the input of each recurrent layer to its output; try it with five layers or more."""
    subsampling: int
    """Feature frames for each output frame: 2 or 4. 4 is faster, 2 leaves room for fast speech."""
    channels: int
    """Channels of the convolutions that subsample."""
    forget_bias: float
    """Added at first to the bias of each LSTM's forget gate; 1 lets it remember from the start (Jozefowicz et al.,
    2015). Other cells have no such gate."""
    orthogonal: bool
    """Begin with orthogonal recurrent weights, each gate by itself (Saxe et al., 2014): they neither fade nor blow up
    what a layer remembers. Else they are drawn evenly around 0."""
    blank_bias: float
    """Log odds of the blank at first, the other logits shrunk as much. Above 0, labels rise where the sound tells of
    them: from even odds a tiny corpus often learns to hold a label through the silence before its word. 0 learns
    faster where there is more data."""
    intermediate_layer: int | None
    """The recurrent layer, counted from 1 at the bottom, that gets a CTC head of its own in training, weighted by
    training.intermediate_weight (Lee & Watanabe, "Intermediate loss regularization for CTC-based speech recognition",
    2021); null leaves it out. About the middle of many layers."""
    dropout: float
    """Share of activations dropped between layers in training."""
    variational_dropout: bool
    """Drop the same features in all frames of an utterance (Gal & Ghahramani, 2016) in place of others in each."""
