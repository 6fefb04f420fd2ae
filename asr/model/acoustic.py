"""The acoustic model: normalized features -> convolutional subsampling -> recurrent layers -> CTC log-probabilities."""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from asr.common.errors import ConfigError
from asr.features.front_end import Normalizer
from asr.model.convolution import ConvolutionalSubsampling, LookaheadConvolution, Waiting, output_length
from asr.model.dropout import Dropout, VariationalDropout
from asr.model.kernel.product import RoundedLinear
from asr.model.recurrent import RecurrentLayer, State
from asr.settings.features import Normalization
from asr.settings.model import Cell, CellOrder, ModelConfig
from asr.text.protocol import BLANK


@dataclass(frozen=True)
class StreamState:
    """The state of a stream between two chunks."""

    subsampling: Waiting | None
    layers: tuple[State | None, ...]
    lookahead: Tensor | None


class AcousticModel(nn.Module):
    """Recurrent layers with LayerNorm before each, and a CTC head.

    Its output for an utterance depends only on that utterance, never on the batch or its padding. All layers have the
    same width, so that any of them can be residual.

    Args:
        dim: Features in a frame.
        tokens: Size of the tokenizer, the blank (0) included.
        normalization: How `normalizer` treats features before they go in.

    Raises:
        ConfigError: Settings do not fit together.
    """

    def __init__(self, config: ModelConfig, dim: int, tokens: int, normalization: Normalization) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.normalizer = Normalizer(normalization, dim)
        outputs = config.hidden * (1 + config.bidirectional)
        width = config.projection or outputs
        self.subsampling = ConvolutionalSubsampling(dim, config.channels, width, config.subsampling)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, width, config.hidden, config.bidirectional) for cell in cells_of_layers(config)
        )
        for layer in self.layers:
            cast(RecurrentLayer, layer).initialize(config.orthogonal, config.forget_bias)
        self.projections = nn.ModuleList(
            RoundedLinear(outputs, width) if config.projection else nn.Identity() for _ in range(config.layers)
        )
        self.lookahead = LookaheadConvolution(width, config.lookahead) if config.lookahead else None
        self.dropout = (VariationalDropout if config.variational_dropout else Dropout)(config.dropout)
        self.head_norm, self.head = _head(width, tokens, config.blank_bias)
        if config.intermediate_layer is not None:
            self.intermediate_norm, self.intermediate_head = _head(width, tokens, config.blank_bias)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens in each frame.

        Args:
            features: Normalized, (batch, frames, dim).
            lengths: Frames of each utterance, int64 (batch,).

        Returns:
            (output frames, batch, tokens) in float32 or wider, and the output frames of each utterance; values past an
            utterance's end have no meaning.
        """
        hidden, _, lengths = self._encode(features, lengths)
        return self._log_probs(hidden, self.head_norm, self.head), lengths

    def all_heads(self, features: Tensor, lengths: Tensor) -> tuple[list[Tensor], Tensor]:
        """Like `forward`, with the log-probabilities of the intermediate head as a second item where there is one."""
        hidden, middle, lengths = self._encode(features, lengths)
        log_probs = [self._log_probs(hidden, self.head_norm, self.head)]
        if middle is not None:
            log_probs.append(self._log_probs(middle, self.intermediate_norm, self.intermediate_head))
        return log_probs, lengths

    def stream(
        self, features: Tensor, state: StreamState | None = None, final: bool = False
    ) -> tuple[Tensor, StreamState]:
        """Processes the next chunk of frames of some utterances, the same number of each.

        The log-probabilities of all calls together are those that `forward` gives for the whole utterances.

        Args:
            features: Normalized, (batch, frames, dim); frames may be 0.
            state: The one that the previous call returned; None at the start.
            final: Whether the utterances end here.

        Returns:
            (output frames, batch, tokens), as far as the frames allow, and the state after them.

        Raises:
            ConfigError: The model is bidirectional.
        """
        if self.config.bidirectional:
            raise ConfigError(
                "This model has model.bidirectional=true and reads each utterance from its end too, so it cannot "
                "transcribe a stream: train one with model=lstm_streaming or model=gru_streaming."
            )
        state = state or StreamState(None, (None,) * len(self.layers), None)
        hidden, subsampling = self.subsampling.stream(features, state.subsampling, final)
        layers, lookahead = list(state.layers), state.lookahead
        if len(hidden):
            for number, layer in enumerate(self.layers):
                inputs = self.dropout(self.norms[number](hidden))
                outputs, layers[number] = cast(RecurrentLayer, layer).stream(inputs, layers[number])
                hidden = self._joined(number, outputs, hidden)
        if self.lookahead is not None:
            hidden, lookahead = self.lookahead.stream(hidden, lookahead, final)
        log_probs = self._log_probs(hidden, self.head_norm, self.head)
        return log_probs, StreamState(subsampling, tuple(layers), lookahead)

    def _encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """The input of the head, that of the intermediate head if there is one, and the lengths of both."""
        hidden, lengths = self.subsampling(features, lengths)
        middle = None
        for number, layer in enumerate(self.layers):
            outputs = layer(self.dropout(self.norms[number](hidden)), lengths)
            hidden = self._joined(number, outputs, hidden)
            if number + 1 == self.config.intermediate_layer:
                middle = hidden
        if self.lookahead is not None:
            hidden = self.lookahead(hidden, lengths)
        return hidden, middle, lengths

    def _joined(self, number: int, outputs: Tensor, inputs: Tensor) -> Tensor:
        """The output of a layer as the input of the next one."""
        projected: Tensor = self.projections[number](outputs)
        return inputs + projected if self.config.residual else projected

    def _log_probs(self, hidden: Tensor, norm: nn.Module, head: nn.Module) -> Tensor:
        logits: Tensor = head(self.dropout(norm(hidden)))
        return logits.log_softmax(dim=2, dtype=torch.promote_types(logits.dtype, torch.float32))


def _head(width: int, tokens: int, blank_bias: float) -> tuple[nn.LayerNorm, nn.Linear]:
    head = RoundedLinear(width, tokens)
    with torch.no_grad():
        head.weight *= math.exp(-blank_bias)
        head.bias[BLANK] = blank_bias
    return nn.LayerNorm(width), head


def _check(config: ModelConfig) -> None:
    if config.lookahead and config.bidirectional:
        raise ConfigError(
            f"model.lookahead={config.lookahead} has no use in a bidirectional model: "
            "set it to 0, or model.bidirectional=false."
        )
    if config.intermediate_layer is not None and config.intermediate_layer >= config.layers:
        raise ConfigError(
            f"model.intermediate_layer={config.intermediate_layer} must lie below the top of model.layers="
            f"{config.layers} layers: lower it, or set it to null."
        )


def cells_of_layers(config: ModelConfig) -> list[Cell]:
    """The cell of each recurrent layer, from the first.

    Raises:
        ConfigError: There is no cell, or there are more cells than layers.
    """
    cells, layers = config.cells, config.layers
    if not 1 <= len(cells) <= layers:
        names = ", ".join(cell.name for cell in cells)
        raise ConfigError(
            f"model.cells has {len(cells)} cells ({names}) for model.layers={layers}; give one for each layer, or "
            "fewer, which model.cell_order spreads."
        )
    if config.cell_order is CellOrder.alternating:
        return [cells[layer % len(cells)] for layer in range(layers)]
    return [cells[layer * len(cells) // layers] for layer in range(layers)]


def count_parameters(model: nn.Module) -> int:
    """The number of parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


GATES = {Cell.rnn: 1, Cell.lstm: 4, Cell.gru: 3, Cell.ligru: 2}
"""Matrix products with the input, and with the state, in each time step of a cell."""
KERNEL = 9
"""Weights of a 3 x 3 convolution for each pair of channels."""


def multiply_adds_per_second(config: ModelConfig, dim: int, tokens: int, hop_ms: float) -> dict[str, float]:
    """Multiply-adds of the matrix products and convolutions of each layer per second of audio, forward pass.

    Elementwise operations (gates, norms, log_softmax) are left out, and so is an intermediate head, which only training
    uses. Training takes about three times as much, one part forward and two backward. The cost of the model is the sum
    over its layers.

    Args:
        dim: Features in a frame.
        tokens: Size of the tokenizer, the blank included.
        hop_ms: Time between frames (ms).
    """
    frames = 1000 / hop_ms
    outputs = frames / config.subsampling
    recurrent = (1 + config.bidirectional) * config.hidden
    width = config.projection or recurrent
    channels, halved, quartered = config.channels, output_length(dim, 2), output_length(dim, 4)
    costs = {
        "convolution 1": frames / 2 * halved * KERNEL * channels,
        "convolution 2": outputs * quartered * KERNEL * channels**2,
        "subsampling projection": outputs * quartered * channels * width,
    }
    for number, cell in enumerate(cells_of_layers(config), start=1):
        costs[f"layer {number} ({cell.name})"] = outputs * GATES[cell] * recurrent * (width + config.hidden)
        if config.projection is not None:
            costs[f"projection {number}"] = outputs * recurrent * width
    if config.lookahead:
        costs["lookahead"] = outputs * width * (config.lookahead + 1)
    costs["head"] = outputs * width * tokens
    return costs
