"""Whether a graph computes what PyTorch computes."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr.common.errors import DataError, RunError
from asr.decoding.decoder import GreedyDecoder
from asr.deploy.runtime import Array, ChunkedUtterance, log_probs_of, open_session
from asr.features.extractor import frame_count
from asr.inference.evaluation import open_split
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.settings.recipe import SETTINGS

log = logging.getLogger(__name__)

LIMIT = 1e-3
"""Largest difference of a log-probability: rounding makes 1e-5 to 1e-4, a mistake more than 0.1."""
UTTERANCES = 10
LONGEST_SECONDS = 30.0
CHUNKS = (0.011, 0.1, 0.73)
"""Lengths of the chunks of a stream, of which each utterance takes one (s)."""


@dataclass(frozen=True)
class Signals:
    """What a graph is compared on."""

    waveforms: Mapping[str, Tensor]
    """Of each utterance, by its id, float32 (samples,)."""
    source: str
    """What they are, as "10 utterances of dev"."""


@dataclass(frozen=True)
class Agreement:
    """How well a graph agrees with PyTorch."""

    difference: float
    """The largest one of a log-probability."""
    same_texts: int
    """Utterances with the same greedy hypothesis."""
    utterances: int


def signals_of(run: FinishedRun, recognizer: Recognizer) -> Signals:
    """Utterances of the dev split of a run, spread over its manifest; generated signals where there are none at hand,
    which a line says."""
    features, sampling_rate = recognizer.config.features, recognizer.config.data.sampling_rate
    if (run.path / SETTINGS).is_file() and run.recipe.manifest(run.config, "dev").is_file():
        dev = open_split(run.recipe, run.config, "dev")
        count = len(dev.utterances)
        places = np.linspace(0, count - 1, min(UTTERANCES, count)).round().astype(int)
        chosen = [dev.utterances[place] for place in dict.fromkeys(places.tolist())]
        try:
            read = {
                utterance.id: dev.audio.read(utterance)
                for utterance in chosen
                if utterance.sampling_rate == sampling_rate
                and utterance.duration <= LONGEST_SECONDS
                and frame_count(features, sampling_rate, utterance.samples) > 0
            }
        except DataError as error:
            log.warning("The dev split cannot be read: %s", error)
        else:
            if read:
                return Signals(read, f"{len(read)} utterances of dev")
    generated = {f"generated signal {number}": signal for number, signal in enumerate(_generated(sampling_rate))}
    log.warning("No utterances of dev are at hand: the graph is compared on %d generated signals.", len(generated))
    return Signals(generated, f"{len(generated)} generated signals, as no utterances of dev were at hand")


def compare(recognizer: Recognizer, file: Path, signals: Signals) -> Agreement:
    """Compares a graph of whole utterances with PyTorch: each alone, and all in a batch that noise pads.

    Raises:
        RunError: They differ by more than rounding.
    """
    session, waveforms = open_session(file), list(signals.waveforms.values())
    longest = max(map(len, waveforms)) + recognizer.config.data.sampling_rate // 2
    padded = torch.empty(len(waveforms), longest).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    in_batch = _computed(session, padded, [len(waveform) for waveform in waveforms])
    alone = [_computed(session, waveform[None], [len(waveform)])[0] for waveform in waveforms]
    expected = (expected_of(recognizer, waveform) for waveform in waveforms)
    return require(recognizer, file.name, signals, expected, zip(alone, in_batch, strict=True))


def compare_stream(recognizer: Recognizer, file: Path, signals: Signals) -> Agreement:
    """Compares the graph of a stream, fed with chunks of odd sizes, with PyTorch on whole utterances.

    Raises:
        RunError: They differ by more than rounding.
    """
    session, rate = open_session(file), recognizer.config.data.sampling_rate
    outputs = []
    for number, waveform in enumerate(signals.waveforms.values()):
        stream, size = ChunkedUtterance(session), round(CHUNKS[number % len(CHUNKS)] * rate) + 1
        chunks = [stream.accept(chunk) for chunk in np.split(waveform.numpy(), range(size, len(waveform), size))]
        outputs.append((np.concatenate([*chunks, stream.accept(waveform[:0].numpy(), final=True)]),))
    expected = (expected_of(recognizer, waveform) for waveform in signals.waveforms.values())
    return require(recognizer, file.name, signals, expected, outputs)


def agreement(recognizer: Recognizer, file: Path, signals: Signals) -> Agreement:
    """How well a graph that is not exact, as a quantized one, agrees with PyTorch, utterance by utterance."""
    session = open_session(file)
    pairs = [
        (expected_of(recognizer, waveform), _computed(session, waveform[None], [len(waveform)])[0])
        for waveform in signals.waveforms.values()
    ]
    return _agreement(recognizer, pairs)


def require(
    recognizer: Recognizer, name: str, signals: Signals, pytorch: Iterable[Array], outputs: Iterable[Sequence[Array]]
) -> Agreement:
    """The agreement of a graph that must be exact.

    Args:
        name: Of its file.
        pytorch: What PyTorch computes of each utterance, (frames, tokens).
        outputs: What the graph does, in one way or several.

    Raises:
        RunError: They differ by more than rounding.
    """
    pairs = []
    for id, expected, found in zip(signals.waveforms, pytorch, outputs, strict=True):
        pairs += [(expected, one) for one in found]
        difference = max(_difference(expected, one) for one in found)
        if not difference <= LIMIT:
            raise RunError(
                f"{name} differs from PyTorch by {difference:.2g} in a log-probability of {id}, more than {LIMIT:g}: "
                "try another version of onnxruntime, and please report this."
            )
    return _agreement(recognizer, pairs)


def _agreement(recognizer: Recognizer, pairs: Sequence[tuple[Array, Array]]) -> Agreement:
    decode = GreedyDecoder(recognizer.tokenizer)
    texts = [[decode(torch.from_numpy(one)[:, None], torch.tensor([len(one)])) for one in pair] for pair in pairs]
    difference = max(_difference(*pair) for pair in pairs)
    return Agreement(difference, sum(expected == found for expected, found in texts), len(pairs))


def _difference(expected: Array, found: Array) -> float:
    if expected.shape != found.shape:
        return np.inf
    return float(np.abs(expected - found).max(initial=0.0))


def expected_of(recognizer: Recognizer, waveform: Tensor) -> Array:
    """PyTorch's log-probabilities of an utterance alone, (frames, tokens)."""
    log_probs, (length,) = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    expected: Array = log_probs[:length, 0].cpu().numpy()
    return expected


def _computed(session: Any, waveforms: Tensor, lengths: list[int]) -> list[Array]:
    """Those of a graph, of each utterance of a batch."""
    log_probs, frames = log_probs_of(session, waveforms.numpy(), np.array(lengths, np.int64))
    return [log_probs[:count, number] for number, count in enumerate(frames)]


def _generated(sampling_rate: int) -> Iterator[Tensor]:
    """Tones that rise through noise, of 0.1 to 4 s."""
    generator = torch.Generator().manual_seed(0)
    for seconds in (0.1, 0.37, 0.8, 1.5, 4.0):
        time = torch.arange(round(seconds * sampling_rate)) / sampling_rate
        noise = torch.randn(len(time), generator=generator)
        voiced = (time * 6).sin() > 0
        yield 0.3 * (700 * (1 + time) * time * 6.28).sin() * voiced + 0.02 * noise
