"""Folders that sherpa-onnx loads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr.deploy.acoustic import can_stream
from asr.deploy.folder import save_graph
from asr.deploy.runtime import TYPES, Array, open_session
from asr.deploy.sherpa import CHUNK, check_sherpa, stream_sherpa_graph, whole_sherpa_graph
from asr.deploy.verification import Agreement, Signals, expected_of, require
from asr.inference.recognizer import Recognizer

SILENCE_SECONDS = 1.0
"""At the end of a stream, which takes whole chunks only and answers late."""


class SherpaOnnx:
    """Graphs of Kaldi's features, which sherpa-onnx computes."""

    readme = "SHERPA.md"

    def check(self, recognizer: Recognizer) -> None:
        """See `asr.deploy.sherpa.check_sherpa`."""
        check_sherpa(recognizer.config)

    def write(
        self, recognizer: Recognizer, metadata: dict[str, str], signals: Signals, folder: Path
    ) -> dict[str, Agreement]:
        """See `asr.deploy.folder.Target`."""
        whole = save_graph(whole_sherpa_graph(recognizer, metadata), folder / "model.onnx")
        agreements = {whole.name: compare_whole(recognizer, whole, signals)}
        if can_stream(recognizer.config):
            chunks = save_graph(stream_sherpa_graph(recognizer, metadata), folder / "stream.onnx")
            agreements[chunks.name] = compare_chunks(recognizer, chunks, signals)
        return agreements


def compare_whole(recognizer: Recognizer, file: Path, signals: Signals) -> Agreement:
    """Compares a graph of whole utterances with PyTorch, each utterance alone. Raises as `require`."""
    session, outputs = open_session(file), list[Sequence[Array]]()
    for waveform in signals.waveforms.values():
        features, frames = recognizer.front.extractor(waveform[None], torch.tensor([len(waveform)]))
        log_probs, lengths = session.run(None, {"x": features.numpy(), "x_lens": frames.numpy()})
        outputs.append((log_probs[0, : lengths[0]],))
    expected = (expected_of(recognizer, waveform) for waveform in signals.waveforms.values())
    return require(recognizer, file.name, signals, expected, outputs)


@torch.inference_mode()
def compare_chunks(recognizer: Recognizer, file: Path, signals: Signals) -> Agreement:
    """Compares a graph of chunks with PyTorch, on the whole chunks of each utterance and of silence behind it.

    Raises as `require`.
    """
    session, extractor = open_session(file), recognizer.front.extractor
    silence = torch.zeros(round(SILENCE_SECONDS * extractor.sampling_rate))
    expected, outputs = list[Array](), list[Sequence[Array]]()
    for waveform in signals.waveforms.values():
        ended = torch.cat([waveform, silence])
        features, (frames,) = extractor(ended[None], torch.tensor([len(ended)]))
        chunks = features[:, : int(frames) // CHUNK * CHUNK]
        normalized = recognizer.model.normalizer(chunks, torch.tensor([chunks.shape[1]]))
        expected.append(recognizer.model.stream(normalized)[0][:, 0].numpy())
        found = log_probs_of_chunks(session, chunks)
        outputs.append((found[0, recognizer.config.model.lookahead :],))
    return require(recognizer, file.name, signals, expected, outputs)


def log_probs_of_chunks(session: Any, features: Tensor) -> Array:
    """The log-probabilities (batch, output frames, tokens) of features (batch, frames, mels), chunk by chunk."""
    first, *states = session.get_inputs()
    kept = {
        state.name: np.zeros([len(features) if size == "batch" else size for size in state.shape], TYPES[state.type])
        for state in states
    }
    outputs = []
    for start in range(0, features.shape[1], CHUNK):
        chunk = features[:, start : start + CHUNK]
        log_probs, *after = session.run(None, {first.name: chunk.numpy(), **kept})
        kept = dict(zip(kept, after, strict=True))
        outputs.append(log_probs)
    together: Array = np.concatenate(outputs, axis=1)
    return together
