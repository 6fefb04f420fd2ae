"""Graphs that sherpa-onnx loads as those of a Zipformer with CTC: Kaldi's features in, which sherpa-onnx computes.

Measured with sherpa-onnx 2.0.1: it feeds samples in [-1, 1], mirrors the edges, and adds no dither.
"""

from typing import TYPE_CHECKING, cast

import numpy as np

from asr.common.errors import ConfigError
from asr.deploy.acoustic import Values, layer_of, log_probs_of_features, log_probs_of_hidden
from asr.deploy.features import normalized
from asr.deploy.graph import Graph, Shape
from asr.deploy.layers import convolved, lookahead, projected
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import AcousticModel
from asr.model.recurrent import RecurrentLayer
from asr.settings.features import FeatureKind
from asr.settings.model import Cell
from asr.settings.root import Config
from asr.settings.tokenizer import TokenizerKind
from asr.text.protocol import BLANK

if TYPE_CHECKING:
    from onnx import ModelProto

CHUNK = 32
"""Feature frames that a stream takes at a time: 0.32 s."""
PAST = 3
"""Feature frames before its own that an output of the subsampling depends on."""
SUBSAMPLING = 4
NEVER = -1e4
"""Log-probability of tokens before a stream gives its first one."""


def check_sherpa(config: Config) -> None:
    """Makes sure that sherpa-onnx computes what the model was trained on.

    Raises:
        ConfigError: It does not.
    """
    features = config.features
    if features.kind is not FeatureKind.kaldi:
        raise ConfigError(f"sherpa-onnx computes no {features.kind.name} features: train with features=kaldi.")
    if (features.window_ms, features.hop_ms, features.deltas) != (25, 10, False):
        raise ConfigError(
            f"sherpa-onnx computes windows of 25 ms each 10 ms without deltas, not features.window_ms="
            f"{features.window_ms:g}, features.hop_ms={features.hop_ms:g}, features.deltas={features.deltas}: train "
            "with features=kaldi and none of these."
        )
    if config.model.subsampling != SUBSAMPLING:
        raise ConfigError(
            f"sherpa-onnx takes each output for 40 ms, and this model has model.subsampling={config.model.subsampling}:"
            f" train with model.subsampling={SUBSAMPLING}."
        )
    if config.tokenizer.kind is TokenizerKind.phone:
        raise ConfigError(
            "sherpa-onnx writes tokens as text, and this model has phones: train with tokenizer=bpe or tokenizer=char."
        )


def whole_sherpa_graph(recognizer: Recognizer, metadata: dict[str, str]) -> "ModelProto":
    """The graph of `OfflineRecognizer.from_zipformer_ctc`: `x` (batch, frames, mels) and `x_lens` (batch,) become
    `log_probs` (batch, output frames, tokens) and `log_probs_lens` (batch,)."""
    model, graph = recognizer.model, Graph("asr")
    computed = normalized(graph, model.normalizer, "x", "x_lens")
    log_probs, lengths = log_probs_of_features(graph, model, computed, "x_lens")
    graph("Transpose", log_probs, perm=[1, 0, 2], out="log_probs")
    graph("Identity", lengths, out="log_probs_lens")
    mels, tokens = recognizer.front.extractor.dim, recognizer.tokenizer.size
    inputs: Values = {"x": (np.float32, ("batch", "frames", mels)), "x_lens": (np.int64, ("batch",))}
    outputs: Values = {
        "log_probs": (np.float32, ("batch", "output_frames", tokens)),
        "log_probs_lens": (np.int64, ("batch",)),
    }
    return graph.model(inputs, outputs, metadata)


def stream_sherpa_graph(recognizer: Recognizer, metadata: dict[str, str]) -> "ModelProto":
    """The graph of `OnlineRecognizer.from_zipformer2_ctc`: chunks of CHUNK frames, `x` (batch, CHUNK, mels), become
    `log_probs` (batch, CHUNK / 4, tokens), later by `model.lookahead` outputs, which begin with blanks.

    A Zipformer has states of many kinds. Here all that is kept is in one of them, `conv1`, and the others pass through:
    the recurrent states, the last PAST frames, and the outputs that wait for the lookahead.
    """
    model, graph = recognizer.model, Graph("asr")
    mels, tokens = recognizer.front.extractor.dim, recognizer.tokenizer.size
    hidden_size, ahead, outputs = model.config.hidden, model.config.lookahead, CHUNK // SUBSAMPLING
    width = model.config.projection or model.config.hidden
    parts = [2 if cast(RecurrentLayer, layer).cell is Cell.lstm else 1 for layer in model.layers]
    sizes = [sum(parts) * hidden_size, PAST * mels, ahead * width]
    kept = sum(sizes)

    flat = graph("Reshape", "conv1", graph.integers(0, kept))
    split = graph.several("Split", 3 if ahead else 2, flat, graph.integers(*sizes[: 3 if ahead else 2]), axis=1)
    begun = graph("Greater", "processed_lens", graph.integers(0))
    past = graph("Reshape", split[1], graph.integers(0, PAST, mels))
    frames = graph("Concat", past, _normalized(graph, model, "x"), axis=1)
    hidden = _subsampled(graph, model, frames, begun)
    kept_frames = graph.slice(frames, 1, graph.integers(CHUNK), graph.integers(CHUNK + PAST))

    states = graph("Reshape", split[0], graph.integers(0, sum(parts), hidden_size))
    rows = graph.several("Split", sum(parts), states, axis=1, num_outputs=sum(parts)) if sum(parts) > 1 else [states]
    rows = [graph("Transpose", row, perm=[1, 0, 2]) for row in rows]
    after: list[str] = []
    for number, count in enumerate(parts):
        first = sum(parts[:number])
        hidden, last = layer_of(graph, model, number, hidden, state=rows[first : first + count])
        after += last
    new = [graph("Reshape", graph("Transpose", row, perm=[1, 0, 2]), graph.integers(0, hidden_size)) for row in after]
    new.append(graph("Reshape", kept_frames, graph.integers(0, PAST * mels)))
    if model.lookahead is not None:
        waiting = graph("Transpose", graph("Reshape", split[2], graph.integers(0, ahead, width)), perm=[1, 0, 2])
        together = graph("Concat", waiting, hidden, axis=0)
        rest = graph.slice(together, 0, graph.integers(outputs), graph.integers(outputs + ahead))
        new.append(graph("Reshape", graph("Transpose", rest, perm=[1, 0, 2]), graph.integers(0, ahead * width)))
        hidden = lookahead(graph, model.lookahead, together)
    log_probs = graph("Transpose", log_probs_of_hidden(graph, model, hidden), perm=[1, 0, 2])
    graph("Identity", _after_the_first(graph, log_probs, tokens, ahead), out="log_probs")
    graph("Unsqueeze", graph("Concat", *new, axis=1), graph.integers(2), out="new_conv1")
    graph("Add", "processed_lens", graph.integers(outputs), out="new_processed_lens")
    states_of = _zipformer_states(kept)
    for name in states_of:
        if name != "conv1":
            graph("Identity", name, out=f"new_{name}")
    return graph.model(
        {
            "x": (np.float32, ("batch", CHUNK, mels)),
            **{name: (np.float32, shape) for name, shape in states_of.items()},
            "processed_lens": (np.int64, ("batch",)),
        },
        {
            "log_probs": (np.float32, ("batch", outputs, tokens)),
            **{f"new_{name}": (np.float32, shape) for name, shape in states_of.items()},
            "new_processed_lens": (np.int64, ("batch",)),
        },
        metadata | _zipformer(kept),
    )


def _normalized(graph: Graph, model: AcousticModel, chunk: str) -> str:
    everywhere = graph("Expand", graph.integers(CHUNK), graph("Shape", "processed_lens"))
    return normalized(graph, model.normalizer, chunk, everywhere)


def _subsampled(graph: Graph, model: AcousticModel, frames: str, begun: str) -> str:
    """The outputs of a chunk with the PAST frames before it, (outputs, batch, width), as `ConvolutionalSubsampling`.

    Before the first frame of an utterance there are zeros, for the second convolution too.
    """
    module = model.subsampling
    hidden = graph("Unsqueeze", frames, graph.integers(1))
    for part in ("first", "second"):
        hidden, _ = convolved(graph, module, part, hidden, pads=[0, 1, 0, 1])
        hidden = graph("Relu", hidden)
        if part == "first":
            inside = graph.constant(np.arange(CHUNK // 2 + 1)[None] > 0, "subsampling.after_the_begin")
            there = graph("Or", graph("Unsqueeze", begun, graph.integers(1)), inside)
            hidden = graph.zeroed(hidden, there, 1, 3)
    return projected(graph, module, hidden)


def _after_the_first(graph: Graph, log_probs: str, tokens: int, ahead: int) -> str:
    """Blanks in the place of the outputs before the first one."""
    if not ahead:
        return log_probs
    numbers = graph.constant(np.arange(CHUNK // SUBSAMPLING)[None], "outputs_of_a_chunk")
    place = graph("Add", graph("Unsqueeze", "processed_lens", graph.integers(1)), numbers)
    blank = np.full((1, 1, tokens), NEVER, np.float32)
    blank[..., BLANK] = 0
    before = graph("Unsqueeze", graph("Less", place, graph.integers(ahead)), graph.integers(2))
    return graph("Where", before, graph.constant(blank, "nothing_yet"), log_probs)


def _zipformer_states(kept: int) -> dict[str, Shape]:
    """The states of a Zipformer of one layer, with the smallest sizes that `_zipformer` can ask for."""
    one: Shape = (1, "batch", 1)
    return {
        "key": one, "attention": (1, "batch", 1, 3 * kept // 4), "value1": one, "value2": one,
        "conv1": ("batch", kept, 1), "conv2": ("batch", kept, 1), "embed": ("batch", 128, 3, 19),
    }  # fmt: skip


def _zipformer(kept: int) -> dict[str, str]:
    """The metadata from which sherpa-onnx makes the states."""
    ones = ("query_head_dims", "value_head_dims", "num_heads", "num_encoder_layers", "left_context_len")
    return {
        "model_type": "zipformer2",
        "encoder_dims": str(kept),
        "cnn_module_kernels": "3",
        "T": str(CHUNK),
        "decode_chunk_len": str(CHUNK),
        **dict.fromkeys(ones, "1"),
    }
