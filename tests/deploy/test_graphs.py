"""Graphs of whole utterances compute what PyTorch computes, whatever the model and the batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from asr.common.errors import ConfigError
from asr.data.audio import read_waveform
from asr.deploy import graph as graph_module
from asr.deploy.acoustic import whole_graph
from asr.deploy.runtime import log_probs_of, open_session
from asr.features.extractor import frame_count
from asr.inference.recognizer import Recognizer
from tests.helpers.corpora import an4_utterances
from tests.helpers.models import random_recognizer

CELLS = {
    "lstm": [],
    "gru": ["model.cells=[gru]"],
    "rnn": ["model.cells=[rnn]"],
    "light GRU": ["model.cells=[ligru]"],
    "hybrid with projection and residuals": ["model=hybrid", "model.projection=20", "model.residual=true"],
    "all cells in one direction": ["model=lstm_streaming", "model.cells=[lstm,gru,rnn,ligru]", "model.layers=4"],
    "lookahead": ["model=gru_streaming", "model.lookahead=3"],
    "half the subsampling": ["model.subsampling=2"],
}
FEATURES = {
    "per utterance": ["features.normalization=utterance"],
    "not normalized": ["features.normalization=none"],
    "mfcc": ["features=mfcc"],
    "deltas": ["features=mfcc", "features.deltas=true"],
    "spectrogram": ["features=spectrogram"],
    "deltas of a spectrogram": ["features=spectrogram", "features.deltas=true", "features.normalization=utterance"],
    "a hop longer than the window": ["features.hop_ms=30"],
    "kaldi": ["features=kaldi"],
    "kaldi with deltas": ["features=kaldi", "features.deltas=true"],
    "kaldi with a hop longer than the window": ["features=kaldi", "features.hop_ms=31"],
}
MODELS = CELLS | FEATURES


@pytest.fixture(scope="module")
def waveforms(tmp_path_factory: pytest.TempPathFactory) -> list[Tensor]:
    """Utterances of AN4 of up to two seconds, and some that are shorter than a window."""
    read = [read_waveform(utterance) for utterance in an4_utterances(tmp_path_factory.mktemp("an4"))[:4]]
    return [*(waveform[:32000] for waveform in read), read[0][:401], read[0][:100], read[0][:1]]


def session_of(recognizer: Recognizer, folder: Path) -> object:
    """The graph of a recognizer, opened on one thread."""
    (folder / "model.onnx").write_bytes(whole_graph(recognizer, {}).SerializeToString())
    return open_session(folder / "model.onnx", threads=1)


def padded(waveforms: list[Tensor]) -> tuple[Tensor, Tensor]:
    """A batch that noise pads."""
    batch = torch.randn(len(waveforms), 34000, generator=torch.Generator().manual_seed(0))
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return batch, torch.tensor([len(waveform) for waveform in waveforms])


def expected_of(recognizer: Recognizer, waveform: Tensor) -> tuple[Tensor, Tensor]:
    """PyTorch's log-probabilities of an utterance; where it has no frame, none."""
    if frame_count(recognizer.config.features, 16000, len(waveform)) == 0:
        return torch.zeros(0, 1, recognizer.tokenizer.size), torch.tensor([0])
    return recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))


@pytest.mark.parametrize("model", MODELS)
def test_a_graph_gives_the_log_probabilities_of_pytorch(model: str, waveforms: list[Tensor], tmp_path: Path) -> None:
    recognizer = random_recognizer(MODELS[model], waveforms)
    session = session_of(recognizer, tmp_path)
    # Bins of a spectrogram near the floor are as PyTorch's FFT rounds them, which is further off than the graph.
    tolerance = 1e-3 if "spectrogram" in model else 1e-4
    batch, samples = padded(waveforms)
    together, frames_together = log_probs_of(session, batch.numpy(), samples.numpy())
    for number, waveform in enumerate(waveforms):
        expected, (frames,) = expected_of(recognizer, waveform)
        alone, (count,) = log_probs_of(session, waveform[None].numpy(), samples[number : number + 1].numpy())
        assert count == frames_together[number] == frames
        assert np.abs(alone[:count, 0] - expected[:frames, 0].numpy()).max(initial=0) < tolerance
        assert np.abs(together[:count, number] - alone[:count, 0]).max(initial=0) < 1e-4


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_pads_a_batch_changes_no_bit(cell: str, waveforms: list[Tensor], tmp_path: Path) -> None:
    session = session_of(random_recognizer([f"model.cells=[{cell}]"], waveforms), tmp_path)
    batch, samples = padded(waveforms)
    together, frames = log_probs_of(session, batch.numpy(), samples.numpy())
    batch[0, len(waveforms[0]) :] = torch.nan
    again, _ = log_probs_of(session, batch.numpy(), samples.numpy())
    for number, waveform in enumerate(waveforms):
        alone, (count,) = log_probs_of(session, waveform[None].numpy(), samples[number : number + 1].numpy())
        # onnxruntime multiplies a single row by another routine.
        assert count == 1 or np.array_equal(together[:count, number], alone[:count, 0])
        assert np.array_equal(together[:count, number], again[: frames[number], number])


def test_a_model_that_no_file_of_onnx_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"The weights take .* GiB, and a file of ONNX holds less than 2 GiB"):
        whole_graph(random_recognizer(["features.normalization=none"], []), {})
