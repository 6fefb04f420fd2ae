"""The graph of a stream gives, chunk by chunk, what a stream of PyTorch gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from asr.data.audio import read_waveform
from asr.deploy.acoustic import can_stream, stream_graph
from asr.deploy.runtime import ChunkedUtterance, open_session
from tests.helpers.corpora import an4_utterances
from tests.helpers.models import random_recognizer

MODELS = {
    "rnn": ["model.cells=[rnn]"],
    "lstm": [],
    "gru": ["model.cells=[gru]", "model.lookahead=3"],
    "light GRU": ["model.cells=[ligru]"],
    "hybrid with projection and residuals": ["model.cells=[gru,lstm]", "model.projection=20", "model.residual=true"],
    "half the subsampling, no lookahead": ["model.subsampling=2", "model.lookahead=0"],
    "half the subsampling": ["model.subsampling=2", "model.lookahead=3"],
    "deltas": ["features.deltas=true", "features=mfcc"],
    "kaldi": ["features=kaldi"],
    "kaldi with deltas": ["features=kaldi", "features.deltas=true", "model.subsampling=2"],
    "a hop longer than the window": ["features.hop_ms=30", "features.normalization=none"],
}
EXACT = 5e-5
"""Rounding of two libraries."""


@pytest.fixture(scope="module")
def waveform(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """1.3 seconds of AN4."""
    return read_waveform(an4_utterances(tmp_path_factory.mktemp("an4"))[9])[16000:36800]


@pytest.mark.parametrize("model", MODELS)
def test_chunks_of_any_size_give_what_pytorch_gives_of_them(model: str, waveform: Tensor, tmp_path: Path) -> None:
    recognizer = random_recognizer(["model=lstm_streaming", *MODELS[model]], [waveform])
    assert can_stream(recognizer.config)
    (tmp_path / "stream.onnx").write_bytes(stream_graph(recognizer, {}).SerializeToString())
    session = open_session(tmp_path / "stream.onnx", threads=1)
    for seed, longest in enumerate((500, 3000, 20000)):
        cuts = np.random.default_rng(seed).integers(0, longest, size=len(waveform)).cumsum()
        stream, graph, parts = recognizer.stream(), ChunkedUtterance(session), []
        for chunk in waveform.tensor_split(cuts[cuts < len(waveform)].tolist()):
            stream.accept(chunk)
            parts.append(graph.accept(chunk.numpy()))
            assert sum(map(len, parts)) == len(stream.log_probs)
        stream.finish()
        parts.append(graph.accept(np.zeros(0, np.float32), final=True))
        found, expected = np.concatenate(parts), stream.log_probs[:, 0].numpy()
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < EXACT


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 560, 1000])
def test_a_short_utterance_ends_with_its_last_chunk(samples: int, waveform: Tensor, tmp_path: Path) -> None:
    recognizer = random_recognizer(["model=gru_streaming"], [waveform])
    (tmp_path / "stream.onnx").write_bytes(stream_graph(recognizer, {}).SerializeToString())
    short = waveform[:samples]
    found = ChunkedUtterance(open_session(tmp_path / "stream.onnx", threads=1)).accept(short.numpy(), final=True)
    stream = recognizer.stream()
    stream.accept(short)
    stream.finish()
    assert found.shape == stream.log_probs[:, 0].shape
    assert np.abs(found - stream.log_probs[:, 0].numpy()).max(initial=0) < EXACT


@pytest.mark.parametrize(
    "overrides", [["model=lstm"], ["model=lstm_streaming", "features.normalization=utterance"]], ids=str
)
def test_a_model_that_needs_the_whole_utterance_has_no_such_graph(overrides: list[str]) -> None:
    assert not can_stream(random_recognizer(overrides, [torch.randn(8000)]).config)
