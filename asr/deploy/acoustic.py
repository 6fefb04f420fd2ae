"""The graphs of a recognizer, from waveforms to log-probabilities: of whole utterances, and of a stream."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from asr.deploy.features import features, frame_counts, normalized, settled_counts
from asr.deploy.graph import Graph, Shape
from asr.deploy.layers import layer_norm, linear, lookahead, recurrent, subsampled
from asr.features.extractor import FeatureExtractor
from asr.inference.recognizer import Recognizer
from asr.inference.streaming import DELTAS_REACH
from asr.model.acoustic import AcousticModel
from asr.model.convolution import REACH
from asr.model.recurrent import RecurrentLayer
from asr.settings.features import Normalization
from asr.settings.model import Cell
from asr.settings.root import Config

if TYPE_CHECKING:
    from onnx import ModelProto

Values = dict[str, tuple[type[np.generic], Shape]]
FUTURE = 3
"""Feature frames after its own that an output of the subsampling depends on."""
NEXT = "next_"
"""What the name of a state after a chunk begins with."""


def whole_graph(recognizer: Recognizer, metadata: dict[str, str]) -> "ModelProto":
    """The graph of padded batches of whole utterances.

    `waveforms` (batch, samples) and `waveform_lengths` (batch,) become `log_probs` (frames, batch, tokens) and
    `log_prob_lengths` (batch,), as in `BatchRecognizer.log_probs`.

    Raises:
        ConfigError: It cannot be exported.
    """
    model, extractor, graph = recognizer.model, recognizer.front.extractor, Graph("asr")
    inputs: Values = {
        "waveforms": (np.float32, ("batch", "samples")),
        "waveform_lengths": (np.int64, ("batch",)),
    }
    outputs: Values = {
        "log_probs": (np.float32, ("frames", "batch", recognizer.tokenizer.size)),
        "log_prob_lengths": (np.int64, ("batch",)),
    }
    lengths = frame_counts(graph, extractor, "waveform_lengths")
    computed = features(graph, extractor, "waveforms", "waveform_lengths", lengths)
    computed = normalized(graph, model.normalizer, computed, lengths)
    log_probs, lengths = log_probs_of_features(graph, model, computed, lengths)
    graph("Identity", log_probs, out="log_probs")
    graph("Identity", lengths, out="log_prob_lengths")
    return graph.model(inputs, outputs, metadata)


def log_probs_of_features(graph: Graph, model: AcousticModel, computed: str, lengths: str) -> tuple[str, str]:
    """Log-probabilities (frames, batch, tokens) of normalized features (batch, frames, dim), and the frames of each."""
    hidden, lengths = subsampled(graph, model.subsampling, computed, lengths)
    for number in range(len(model.layers)):
        hidden, _ = layer_of(graph, model, number, hidden, lengths)
    if model.lookahead is not None:
        inside = graph("Transpose", graph.within(hidden, 0, lengths), perm=[1, 0])
        ended = graph.longer(graph.zeroed(hidden, inside, 2), 3, 0, graph.integers(model.lookahead.lookahead))
        hidden = lookahead(graph, model.lookahead, ended)
    return log_probs_of_hidden(graph, model, hidden), lengths


def can_stream(config: Config) -> bool:
    """Whether the model reads an utterance in one direction, and its features need no more of it."""
    return not config.model.bidirectional and config.features.normalization is not Normalization.utterance


def stream_graph(recognizer: Recognizer, metadata: dict[str, str]) -> "ModelProto":
    """The graph of the next chunk of one utterance.

    `waveform` (1, samples), of any length, `final` (1,), whether the utterance ends with it, and the state become
    `log_probs` (frames, 1, tokens), as far as the samples allow, and the state after it. All outputs together are those
    of the whole utterance. Each state is an input X and an output `next_X`; at the start of an utterance it is zeros,
    none of them along axes that vary.

    Raises:
        ConfigError: It cannot be exported.
    """
    model, graph = recognizer.model, Graph("asr")
    extractor, width = recognizer.front.extractor, model.subsampling.projection.out_features
    state: Values = {
        "samples": (np.float32, (1, "kept_samples")),
        "given_frames": (np.int64, (1,)),
        "features": (np.float32, (1, "kept_frames", extractor.dim)),
        "given_outputs": (np.int64, (1,)),
    }
    computed = _new_features(graph, model, extractor)
    hidden, count, any_new = _new_hidden(graph, model, computed)
    for number, layer in enumerate(model.layers):
        cell = cast(RecurrentLayer, layer).cell
        names = [f"layer_{number}_{part}" for part in ("output", "cell")[: 2 if cell is Cell.lstm else 1]]
        state |= dict.fromkeys(names, (np.float32, (1, 1, model.config.hidden)))
        hidden, last = layer_of(graph, model, number, hidden, state=names)
        for name, new in zip(names, last, strict=True):
            graph("Where", any_new, new, name, out=f"{NEXT}{name}")
    if model.lookahead is not None:
        state["outputs"] = (np.float32, ("kept_outputs", 1, width))
        ahead = model.lookahead.lookahead
        hidden = graph("Concat", "outputs", graph.slice(hidden, 0, graph.integers(0), count), axis=0)
        there = graph.size(hidden, 0)
        enough = graph("Max", graph("Sub", there, graph.integers(ahead)), graph.integers(0))
        count = graph("Where", "final", there, enough)
        _kept(graph, hidden, 0, count, "outputs")
        # One frame more than there is, so that there is one.
        hidden = lookahead(graph, model.lookahead, graph.longer(hidden, 3, 0, graph.integers(ahead + 1)))
        hidden = graph.slice(hidden, 0, graph.integers(0), graph("Max", count, graph.integers(1)))
    log_probs = log_probs_of_hidden(graph, model, hidden)
    graph("Slice", log_probs, graph.integers(0), count, graph.integers(0), out="log_probs")
    return graph.model(
        {"waveform": (np.float32, (1, "chunk_samples")), "final": (np.bool_, (1,)), **state},
        {
            "log_probs": (np.float32, ("frames", 1, recognizer.tokenizer.size)),
            **{f"{NEXT}{name}": (kind, _renamed(shape)) for name, (kind, shape) in state.items()},
        },
        metadata,
    )


def _new_features(graph: Graph, model: AcousticModel, extractor: FeatureExtractor) -> str:
    """Normalized features of the frames that are settled since the last chunk, (1, frames, dim); keeps samples.

    As `Stream` has it.
    """
    samples = graph("Concat", "samples", "waveform", axis=1)
    there = graph.size(samples, 1)
    frames = frame_counts(graph, extractor, there)
    reach = DELTAS_REACH if extractor.config.deltas else 0
    enough = graph("Sub", settled_counts(graph, extractor, there), graph.integers(reach))
    settled = graph("Where", "final", frames, graph("Max", enough, graph.integers(0)))
    any_new = graph("Greater", settled, "given_frames")
    # The last frame stays: its samples tell where the next one begins. So do those that would be mirrored.
    few = graph("Min", settled, graph.integers(max(reach + extractor.mirrored, 1)))
    given = graph("Where", any_new, few, "given_frames", out=f"{NEXT}given_frames")
    passed = graph("Mul", graph("Sub", settled, given), graph.integers(extractor.hop))
    _kept(graph, samples, 1, graph("Where", any_new, passed, graph.integers(0)), "samples")
    computed = normalized(graph, model.normalizer, features(graph, extractor, samples, there, frames), frames)
    return graph.slice(computed, 1, "given_frames", graph("Max", settled, "given_frames"))


def _new_hidden(graph: Graph, model: AcousticModel, computed: str) -> tuple[str, str, str]:
    """What the subsampling newly gives, (frames, 1, width); keeps features. As `ConvolutionalSubsampling.stream`.

    Returns:
        The frames, at least one; how many of them there are in truth; and whether there is any.
    """
    factor = model.subsampling.subsampling
    together = graph("Concat", "features", computed, axis=1)
    there = graph.size(together, 1)
    enough = graph("Max", graph("Sub", there, graph.integers(FUTURE)), graph.integers(0))
    known = graph.divided_up(graph("Where", "final", there, enough), factor)
    count = graph("Max", graph("Sub", known, "given_outputs"), graph.integers(0))
    any_new = graph("Greater", count, graph.integers(0))
    few = graph("Min", known, graph.integers(REACH // factor))
    given = graph("Where", any_new, few, "given_outputs", out=f"{NEXT}given_outputs")
    passed = graph("Mul", graph("Sub", known, given), graph.integers(factor))
    _kept(graph, together, 1, graph("Where", any_new, passed, graph.integers(0)), "features")
    hidden, _ = subsampled(graph, model.subsampling, graph.longer(together, 3, 1, graph.integers(factor)), there)
    end = graph("Add", "given_outputs", graph("Max", count, graph.integers(1)))
    return graph.slice(hidden, 0, "given_outputs", end), count, any_new


def _kept(graph: Graph, value: str, axis: int, start: str, state: str) -> None:
    """Makes the end of a value the next state."""
    inputs = (value, start, graph.size(value, axis), graph.integers(axis))
    graph("Slice", *inputs, out=f"{NEXT}{state}")


def _renamed(shape: Shape) -> Shape:
    """The shape of a state after a chunk, whose varying axes have other sizes than before."""
    return [f"{NEXT}{size}" if isinstance(size, str) else size for size in shape]


def layer_of(
    graph: Graph, model: AcousticModel, number: int, hidden: str, lengths: str | None = None, state: Any = ()
) -> tuple[str, list[str]]:
    """A recurrent layer with what stands around it, and its last state."""
    inputs = layer_norm(graph, model.norms[number], hidden, f"norms.{number}")
    layer = cast(RecurrentLayer, model.layers[number])
    outputs, last = recurrent(graph, layer, f"layers.{number}", inputs, lengths, state)
    if model.config.projection is not None:
        outputs = linear(graph, model.projections[number], outputs, f"projections.{number}")
    return graph("Add", hidden, outputs) if model.config.residual else outputs, last


def log_probs_of_hidden(graph: Graph, model: AcousticModel, hidden: str) -> str:
    """Log-probabilities (frames, batch, tokens) of what the last layer gives."""
    logits = linear(graph, model.head, layer_norm(graph, model.head_norm, hidden, "head_norm"), "head")
    return graph("LogSoftmax", logits, axis=-1)
