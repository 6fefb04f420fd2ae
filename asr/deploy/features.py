"""The features in a graph: what `asr.features.extractor` and `asr.features.front_end` compute."""

import numpy as np

from asr.deploy.graph import Graph
from asr.features.extractor import KALDI_FLOOR, POWER_FLOOR, PRE_EMPHASIS, FeatureExtractor
from asr.features.front_end import SMALLEST_VARIANCE, Normalizer
from asr.settings.features import FeatureKind, Normalization

PREFIX = "features."
"""What the names of its constants begin with."""


def frame_counts(graph: Graph, extractor: FeatureExtractor, samples: str) -> str:
    """Frames of utterances with these lengths in samples, int64 (batch,)."""
    if extractor.config.kind is not FeatureKind.kaldi:
        return settled_counts(graph, extractor, samples)
    centres = graph("Add", samples, graph.integers(extractor.hop // 2))
    return graph("Div", centres, graph.integers(extractor.hop))


def settled_counts(graph: Graph, extractor: FeatureExtractor, samples: str) -> str:
    """As `frame_counts`, without the frames that more samples at the end would change."""
    spare = graph("Sub", samples, graph.integers(len(extractor.window) - extractor.lead))
    more = graph("Div", graph("Max", spare, graph.integers(0)), graph.integers(extractor.hop))
    frames = graph("Add", more, graph.integers(1))
    return graph("Where", graph("Less", spare, graph.integers(0)), graph.integers(0), frames)


def features(graph: Graph, extractor: FeatureExtractor, waveforms: str, samples: str, frames: str) -> str:
    """Features of waveforms (batch, samples), (batch, frames, dim), before their normalization.

    There is at least one frame, which has no meaning where no window fits. What stands past the end of an utterance has
    no meaning either.

    Args:
        samples: Of each utterance, int64 (batch,).
        frames: Of each utterance, int64 (batch,).
    """
    if extractor.config.kind is FeatureKind.kaldi:
        floor, waveforms = KALDI_FLOOR, _mirrored(graph, extractor, waveforms, samples)
    else:
        lack = graph("Sub", graph.integers(len(extractor.window)), graph.size(waveforms, 1))
        floor, waveforms = POWER_FLOOR, graph.longer(waveforms, 2, 1, graph("Max", lack, graph.integers(0)))
    computed = graph("Log", graph("Max", _power(graph, extractor, waveforms), graph.number(floor)))
    if extractor.cosines is not None:
        computed = graph("MatMul", computed, graph.constant(extractor.cosines, f"{PREFIX}cosines"))
    if extractor.config.deltas:
        first = _delta(graph, computed, frames)
        computed = graph("Concat", computed, first, _delta(graph, first, frames), axis=2)
    return computed


def normalized(graph: Graph, normalizer: Normalizer, computed: str, lengths: str) -> str:
    """Normalizes features (batch, frames, dim) and puts zeros past the end of each utterance."""
    inside = graph.within(computed, 1, lengths)
    if normalizer.kind is Normalization.corpus:
        mean, std = (graph.constant(getattr(normalizer, part), f"normalizer.{part}") for part in ("mean", "std"))
        return graph.zeroed(graph("Div", graph("Sub", computed, mean), std), inside, 2)
    computed = graph.zeroed(computed, inside, 2)
    if normalizer.kind is Normalization.none:
        return computed
    count = graph("Cast", graph("Max", lengths, graph.integers(1)), to=1)  # float32
    count, over_frames = graph("Unsqueeze", count, graph.integers(1, 2)), graph.integers(1)
    mean = graph("Div", graph("ReduceSum", computed, over_frames, keepdims=1), count)
    centered = graph.zeroed(graph("Sub", computed, mean), inside, 2)
    squares = graph("ReduceSum", graph("Mul", centered, centered), over_frames, keepdims=1)
    variance = graph("Max", graph("Div", squares, count), graph.number(SMALLEST_VARIANCE))
    return graph("Div", centered, graph("Sqrt", variance))


def _power(graph: Graph, extractor: FeatureExtractor, waveforms: str) -> str:
    """The power in each bin or mel band, (batch, frames, bins).

    Everything up to the spectrum is linear, and so one convolution whose stride is the hop: with Kaldi's features the
    mean of each frame and the pre-emphasis, then window and discrete Fourier transform. onnxruntime computes it faster
    than its operator STFT.
    """
    window = extractor.window.double().numpy()
    bins = np.arange(extractor.n_fft // 2 + 1)
    bank = None if extractor.filterbank is None else extractor.filterbank.numpy()
    if bank is not None:
        bins = np.flatnonzero(bank.any(axis=1))
        bank = bank[bins]
    angles = 2 * np.pi * np.outer(bins, np.arange(len(window))) / extractor.n_fft
    waves = np.concatenate([np.cos(angles) * window, np.sin(angles) * window])
    if extractor.config.kind is FeatureKind.kaldi:
        size = len(window)
        emphasis = np.eye(size) - PRE_EMPHASIS * np.eye(size, k=-1)  # of the first sample, the window leaves nothing
        waves = waves @ emphasis @ (np.eye(size) - 1 / size)
    spectrum = graph(
        "Conv",
        graph("Unsqueeze", waveforms, graph.integers(1)),
        graph.constant(waves[:, None].astype(np.float32), f"{PREFIX}fourier"),
        kernel_shape=[len(window)],
        strides=[extractor.hop],
    )
    squares = graph("Mul", spectrum, spectrum)
    real, imaginary = graph.several("Split", 2, squares, axis=1, num_outputs=2)
    power = graph("Transpose", graph("Add", real, imaginary), perm=[0, 2, 1])
    return power if bank is None else graph("MatMul", power, graph.constant(bank, f"{PREFIX}filterbank"))


def _mirrored(graph: Graph, extractor: FeatureExtractor, waveforms: str, samples: str) -> str:
    """Utterances from the beginning of their first windows to the end of their last ones, mirrored at both ends."""
    frames = graph("Max", frame_counts(graph, extractor, graph.size(waveforms, 1)), graph.integers(1))
    strides = graph("Mul", graph("Sub", frames, graph.integers(1)), graph.integers(extractor.hop))
    size = graph("Gather", graph("Add", strides, graph.integers(len(extractor.window))), graph.integer(0))
    times = graph("Range", graph.integer(0), size, graph.integer(1))
    times = graph("Unsqueeze", graph("Sub", times, graph.integers(extractor.lead)), graph.integers(0))
    # An utterance may be shorter than what is missing.
    period = graph("Mul", graph("Max", samples, graph.integers(1)), graph.integers(2))
    period = graph("Unsqueeze", period, graph.integers(1))
    sources = graph("Mod", times, period)
    sources = graph("Min", sources, graph("Sub", graph("Sub", period, graph.integers(1)), sources))
    return graph("GatherElements", graph.longer(waveforms, 2, 1, graph.integers(1)), sources, axis=1)


def _delta(graph: Graph, computed: str, frames: str) -> str:
    """Time differences by regression over five frames of each utterance, whose first and last one are repeated."""
    steps = graph.positions(computed, 1)
    last = graph(
        "Unsqueeze", graph("Max", graph("Sub", frames, graph.integers(1)), graph.integers(0)), graph.integers(1)
    )

    def shifted(by: int) -> str:
        place = graph("Max", graph("Min", graph("Add", steps, graph.integers(by)), last), graph.integers(0))
        return graph("GatherND", computed, graph("Unsqueeze", place, graph.integers(2)), batch_dims=1)

    near = graph("Sub", shifted(1), shifted(-1))
    far = graph("Mul", graph("Sub", shifted(2), shifted(-2)), graph.number(2.0))
    return graph("Div", graph("Add", near, far), graph.number(10.0))
