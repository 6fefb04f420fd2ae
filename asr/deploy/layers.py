"""The layers of the acoustic model in a graph, with ONNX's own recurrent operators."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from asr.common.errors import ConfigError
from asr.deploy.graph import Graph
from asr.model.convolution import ConvolutionalSubsampling, LookaheadConvolution
from asr.model.recurrent import RecurrentLayer
from asr.settings.model import Cell

FLOAT32, INT32 = 1, 6
"""As ONNX numbers types."""

OPERATORS = {Cell.lstm: "LSTM", Cell.gru: "GRU", Cell.rnn: "RNN"}
GATES = {Cell.lstm: (0, 3, 1, 2), Cell.gru: (1, 0, 2), Cell.rnn: (0,)}
"""The gates in the order of ONNX (input, output, forget, cell; update, reset, new), by their places in PyTorch's."""


def linear(graph: Graph, module: nn.Module, inputs: str, name: str) -> str:
    """A linear layer with a bias over the last axis."""
    assert isinstance(module, nn.Linear)
    product = graph("MatMul", inputs, graph.constant(module.weight.T, f"{name}.weight"))
    return graph("Add", product, graph.constant(module.bias, f"{name}.bias"))


def layer_norm(graph: Graph, module: nn.Module, inputs: str, name: str) -> str:
    """LayerNorm over the last axis."""
    assert isinstance(module, nn.LayerNorm)
    scale, shift = (graph.constant(getattr(module, part), f"{name}.{part}") for part in ("weight", "bias"))
    return graph("LayerNormalization", inputs, scale, shift, axis=-1, epsilon=module.eps)


def subsampled(graph: Graph, module: ConvolutionalSubsampling, features: str, lengths: str) -> tuple[str, str]:
    """Shortens features (batch, frames, dim) to (output frames, batch, width); also the output frames of each."""
    hidden = graph("Unsqueeze", features, graph.integers(1))
    for part in ("first", "second"):
        hidden, stride = convolved(graph, module, part, hidden, pads=[1, 1, 1, 1])
        lengths = graph.divided_up(lengths, stride)
        # Features past the end are zeros, so this product is finite; it takes half the time of a choice.
        inside = graph("Cast", graph.within(hidden, 2, lengths), to=FLOAT32)
        hidden = graph("Mul", graph("Relu", hidden), graph("Unsqueeze", inside, graph.integers(1, 3)))
    return projected(graph, module, hidden), lengths


def convolved(
    graph: Graph, module: ConvolutionalSubsampling, part: str, inputs: str, pads: Sequence[int]
) -> tuple[str, int]:
    """One of the two convolutions of the subsampling, "first" or "second", and its stride in time.

    Args:
        inputs: (batch, channels, frames, frequencies).
        pads: Zeros before both axes, then behind them.
    """
    convolution: nn.Conv2d = getattr(module, part)
    weights = [graph.constant(getattr(convolution, of), f"subsampling.{part}.{of}") for of in ("weight", "bias")]
    stride = convolution.stride[0]
    return graph("Conv", inputs, *weights, kernel_shape=[3, 3], strides=[stride, 2], pads=pads), stride


def projected(graph: Graph, module: ConvolutionalSubsampling, hidden: str) -> str:
    """The projection of the subsampling, from (batch, channels, frames, frequencies) to (frames, batch, width)."""
    rows = graph("Transpose", hidden, perm=[2, 0, 1, 3])
    flat = graph("Reshape", rows, graph.integers(0, 0, module.projection.in_features))
    return linear(graph, module.projection, flat, "subsampling.projection")


def lookahead(graph: Graph, module: LookaheadConvolution, hidden: str) -> str:
    """Convolves (frames + lookahead, batch, width) over time, to (frames, batch, width)."""
    weight = graph.constant(module.weight.unsqueeze(1), "lookahead.weight")
    channels = graph("Transpose", hidden, perm=[1, 2, 0])
    size = module.lookahead + 1
    convolved = graph("Conv", channels, weight, kernel_shape=[size], group=len(module.weight))
    return graph("Transpose", convolved, perm=[2, 0, 1])


def recurrent(
    graph: Graph, layer: RecurrentLayer, name: str, inputs: str, lengths: str | None = None, state: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """A recurrent layer over (frames, batch, inputs), at least one frame.

    Args:
        name: What the names of its constants begin with.
        lengths: Frames of each utterance, int64 (batch,), within which the second direction reads; None is all.
        state: Before the first frame, each (1, batch, hidden); none is zeros.

    Returns:
        (frames, batch, directions * hidden), and the state after the last frame.

    Raises:
        ConfigError: ONNX has no such cell.
    """
    if layer.cell is Cell.ligru:
        return _light(graph, layer, name, inputs, lengths, state)
    if layer.cell not in OPERATORS:
        raise ConfigError(f"Layers of the cell {layer.cell.name} cannot be exported: ONNX has no operator for them.")
    weights = [graph.constant(_ordered(layer, f"weight_{of}"), f"{name}.weight_{of}") for of in ("ih", "hh")]
    biases = torch.cat([_ordered(layer, "bias_ih"), _ordered(layer, "bias_hh")], dim=1)
    # onnxruntime refuses a length of 0.
    ends = "" if lengths is None else graph("Cast", graph("Max", lengths, graph.integers(1)), to=INT32)
    states = 2 if layer.cell is Cell.lstm else 1
    outputs, *last = graph.several(
        OPERATORS[layer.cell],
        1 + states,
        inputs,
        *weights,
        graph.constant(biases, f"{name}.bias"),
        ends,
        *state,
        hidden_size=layer.hidden,
        direction="bidirectional" if layer.directions == 2 else "forward",
        **({"linear_before_reset": 1} if layer.cell is Cell.gru else {}),
    )
    together = graph("Transpose", outputs, perm=[0, 2, 1, 3])  # from (frames, directions, batch, hidden)
    return graph("Reshape", together, graph.integers(0, 0, layer.directions * layer.hidden)), last


def _ordered(layer: RecurrentLayer, part: str) -> Tensor:
    """A parameter of all directions with its gates in the order of ONNX."""
    stacked = layer.all_directions(part)
    gates = stacked.view(layer.directions, -1, layer.hidden, *stacked.shape[2:])
    return gates[:, list(GATES[layer.cell])].flatten(1, 2)


def _light(
    graph: Graph, layer: RecurrentLayer, name: str, inputs: str, lengths: str | None, state: Sequence[str]
) -> tuple[str, list[str]]:
    """A light GRU, frame by frame."""
    hidden, directions = layer.hidden, layer.directions
    weights = layer.all_directions("weight_ih").flatten(0, 1).T
    gates = graph("MatMul", inputs, graph.constant(weights, f"{name}.weight_ih"))
    gates = graph("Reshape", gates, graph.integers(0, 0, 2 * directions, hidden))
    ones = graph.constant(np.ones(hidden, np.float32), f"{name}.ones")
    gates = graph("LayerNormalization", gates, ones, axis=-1, epsilon=1e-5)
    gates = graph("Reshape", gates, graph.integers(0, 0, 2 * directions * hidden))
    scale, shift = (
        graph.constant(layer.all_directions(part).flatten(), f"{name}.{part}") for part in ("scale", "shift")
    )
    gates = graph("Add", graph("Mul", gates, scale), shift)
    parts = [gates] if directions == 1 else graph.several("Split", 2, gates, axis=2, num_outputs=2)
    parts[1:] = [_reversed(graph, part, lengths) for part in parts[1:]]
    stacked = graph("Concat", *(graph("Unsqueeze", part, graph.integers(1)) for part in parts), axis=1)
    if not state:
        batch = graph.size(inputs, 1)
        shape = graph("Concat", graph.integers(directions), batch, graph.integers(hidden), axis=0)
        state = [graph("Expand", graph.number(0.0), shape)]
    by_state = graph.constant(layer.all_directions("weight_hh").transpose(1, 2), f"{name}.weight_hh")

    # One frame: (directions, batch, 2 * hidden) and the state before it.
    step = Graph(f"{name}.step", graph.constants)
    before, frame, after, output = (f"{name}.step.{value}" for value in ("before", "frame", "after", "output"))
    both = step("Add", frame, step("MatMul", before, by_state))
    keep, candidate = step.several("Split", 2, both, axis=-1, num_outputs=2)
    keep, candidate = step("Sigmoid", keep), step("Relu", candidate)
    step("Add", step("Mul", keep, step("Sub", before, candidate)), candidate, out=after)
    step("Identity", after, out=output)
    narrow, wide = (directions, "batch", hidden), (directions, "batch", 2 * hidden)
    body = step.inner({before: narrow, frame: wide}, {after: narrow, output: narrow})

    last, outputs = graph.several("Scan", 2, *state, stacked, body=body, num_scan_inputs=1)
    split = [outputs] if directions == 1 else graph.several("Split", 2, outputs, axis=1, num_outputs=2)
    split = [graph("Squeeze", part, graph.integers(1)) for part in split]
    split[1:] = [_reversed(graph, part, lengths) for part in split[1:]]
    return split[0] if directions == 1 else graph("Concat", *split, axis=2), [last]


def _reversed(graph: Graph, frames: str, lengths: str | None) -> str:
    """Reverses each utterance of (frames, batch, ...) within its own length."""
    assert lengths is not None, "a second direction reads whole utterances"
    ends = graph("Max", lengths, graph.integers(1))
    return graph("ReverseSequence", frames, ends, batch_axis=1, time_axis=0)
