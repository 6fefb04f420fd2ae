"""What a model costs to run, by layer, from its shapes alone."""

from asr.model.acoustic import cells_of_layers
from asr.model.subsampling import output_length
from asr.settings.model import Cell, ModelConfig

GATES = {Cell.rnn: 1, Cell.lstm: 4, Cell.gru: 3, Cell.ligru: 2}
"""Matrix products with the input, and with the state, in each step of a cell."""

KERNEL = 9
"""Weights of a 3 x 3 convolution for each pair of channels."""


def multiply_adds_per_second(config: ModelConfig, dim: int, tokens: int, hop_ms: float) -> dict[str, float]:
    """Multiply-adds of the matrix products and convolutions of each layer for a second of audio, forward pass.

    What is done element by element (gates, norms, log_softmax) is left out, and so is an intermediate head, which only
    trains. Training takes about three times as much, one part forward and two backward. The sum over the layers is what
    the model costs.

    Args:
        config: Settings of the model.
        dim: Features in a frame.
        tokens: Size of the tokenizer, the blank included.
        hop_ms: Time between frames (ms).
    """
    frames = 1000 / hop_ms
    outputs = frames / config.subsampling
    directions = 1 + config.bidirectional
    recurrent = directions * config.hidden
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
