"""The acoustic model: normalized features -> convolutional subsampling -> recurrent layers -> CTC log-probabilities."""

import math

import torch
from torch import Tensor, nn

from asr.errors import ConfigError
from asr.features.config import Normalization
from asr.features.normalizer import Normalizer
from asr.model.config import Cell, ModelConfig
from asr.model.recurrent import BidirectionalLayer
from asr.model.subsampling import ConvolutionalSubsampling
from asr.text.tokenizer import BLANK


class AcousticModel(nn.Module):
    """Bidirectional recurrent layers with LayerNorm before each, and a CTC head.

    What it says of an utterance depends on that utterance alone, never on the batch or its padding.

    Args:
        config: Its settings.
        dim: Features in a frame.
        tokens: Size of the tokenizer, the blank (0) included.
        normalization: How `normalizer` treats features before they go in.
    """

    def __init__(self, config: ModelConfig, dim: int, tokens: int, normalization: Normalization) -> None:
        super().__init__()
        self.normalizer = Normalizer(normalization, dim)
        width = 2 * config.hidden
        self.subsampling = ConvolutionalSubsampling(dim, config.channels, width, config.subsampling)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.layers = nn.ModuleList(BidirectionalLayer(cell, width, config.hidden) for cell in cells_of_layers(config))
        self.dropout = nn.Dropout(config.dropout)
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens)
        with torch.no_grad():
            self.head.weight *= math.exp(-config.blank_bias)
            self.head.bias[BLANK] = config.blank_bias

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens in each frame.

        Args:
            features: Normalized, (batch, frames, dim).
            lengths: Frames of each utterance, int64 (batch,).

        Returns:
            (output frames, batch, tokens) in float32 or wider, and the output frames of each utterance; what stands
            past an utterance's end has no meaning.
        """
        hidden, lengths = self.subsampling(features, lengths)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            hidden = layer(self.dropout(norm(hidden)), lengths)
        logits = self.head(self.dropout(self.head_norm(hidden)))
        wide = torch.promote_types(logits.dtype, torch.float32)
        return logits.log_softmax(dim=2, dtype=wide), lengths


def cells_of_layers(config: ModelConfig) -> list[Cell]:
    """The cell of each recurrent layer, from the lowest.

    Raises:
        ConfigError: There are neither as many cells as layers nor a single one.
    """
    if config.layers < 1:
        raise ConfigError(f"model.layers is {config.layers}; there must be at least one.")
    cells = config.cells * config.layers if len(config.cells) == 1 else config.cells
    if len(cells) != config.layers:
        names = ", ".join(cell.name for cell in config.cells)
        raise ConfigError(
            f"model.cells has {len(config.cells)} cells ({names}) for model.layers={config.layers}; "
            "give one cell for each layer, or one for all."
        )
    return cells


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers in a model."""
    return sum(parameter.numel() for parameter in model.parameters())
