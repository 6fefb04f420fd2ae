"""sherpa-onnx recognizes with a deployed model what this package does, and a model that it cannot feed is refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asr.commands.cli import main
from asr.data.audio import read_waveform
from asr.deploy import verification
from asr.deploy.runtime import open_session
from asr.deploy.sherpa import CHUNK, stream_sherpa_graph, whole_sherpa_graph
from asr.inference.recognizer import Recognizer
from asr.model.folder import save_model
from tests.helpers.corpora import an4_utterances
from tests.helpers.models import random_recognizer
from tests.helpers.refusals import Capture, refused

KALDI = ["features=kaldi", "model.subsampling=4"]
MODELS = {
    "both directions": ["model=lstm"],
    "hybrid with projection and residuals": ["model=hybrid", "model.projection=20", "model.residual=true"],
    "light GRU, per utterance": ["model=ligru", "features.normalization=utterance"],
    "plain RNN, not normalized": ["model=rnn", "features.normalization=none"],
    "one direction": ["model=lstm_streaming"],
}
STREAMS = {
    "lookahead": ["model=lstm_streaming"],
    "no lookahead": ["model=gru_streaming", "model.lookahead=0"],
    "a longer lookahead than a chunk": ["model=gru_streaming", "model.lookahead=13", "model.projection=20"],
    "all cells, residuals": [
        "model=lstm_streaming", "model.cells=[lstm,gru,rnn,ligru]", "model.layers=4", "model.residual=true",
    ],
    "one state": ["model=gru_streaming", "model.layers=1"],
}  # fmt: skip


@pytest.fixture(scope="module")
def waveforms(tmp_path_factory: pytest.TempPathFactory) -> list[Tensor]:
    """Utterances of AN4 of different lengths, and a very short one."""
    read = [read_waveform(utterance) for utterance in an4_utterances(tmp_path_factory.mktemp("an4"))[:4]]
    return [*read, read[0][8000:9000]]


@pytest.mark.parametrize("model", MODELS)
def test_the_graph_of_whole_utterances_gives_the_log_probabilities_of_pytorch(
    model: str, waveforms: list[Tensor], tmp_path: Path
) -> None:
    recognizer = random_recognizer([*KALDI, *MODELS[model]], waveforms)
    (tmp_path / "model.onnx").write_bytes(whole_sherpa_graph(recognizer, {}).SerializeToString())
    session = open_session(tmp_path / "model.onnx", threads=1)
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    batch = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    features, frames = recognizer.front.extractor(batch, lengths)
    found, counts = session.run(None, {"x": features.numpy(), "x_lens": frames.numpy()})
    for number, waveform in enumerate(waveforms):
        expected, (count,) = recognizer.log_probs(waveform[None], lengths[number : number + 1])
        assert counts[number] == count
        np.testing.assert_allclose(found[number, :count], expected[:count, 0].numpy(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("model", STREAMS)
def test_the_graph_of_chunks_gives_the_log_probabilities_of_pytorch(
    model: str, waveforms: list[Tensor], tmp_path: Path
) -> None:
    recognizer = random_recognizer([*KALDI, *STREAMS[model]], waveforms)
    (tmp_path / "stream.onnx").write_bytes(stream_sherpa_graph(recognizer, {}).SerializeToString())
    session = open_session(tmp_path / "stream.onnx", threads=1)
    features, frames = recognizer.front.extractor(waveforms[0][None], torch.tensor([len(waveforms[0])]))
    whole = features[:, : int(frames) // CHUNK * CHUNK]
    # Two utterances in step: the second is the first one reversed.
    both = torch.cat([whole, whole.flip(1)])
    lengths = torch.full((2,), both.shape[1])
    with torch.inference_mode():
        expected, _ = recognizer.model.stream(recognizer.model.normalizer(both, lengths))
    names = [value.name for value in session.get_inputs()]
    shapes = {value.name: [2 if size == "batch" else size for size in value.shape] for value in session.get_inputs()}
    state = {name: np.zeros(shapes[name], np.float32) for name in names[1:-1]}
    state["processed_lens"] = np.zeros(2, np.int64)
    parts = []
    for chunk in both.split(CHUNK, dim=1):
        log_probs, *after = session.run(None, {"x": chunk.numpy(), **state})
        state = dict(zip(names[1:], after, strict=True))
        parts.append(log_probs)
    found, ahead = np.concatenate(parts, axis=1), recognizer.config.model.lookahead
    assert found.shape[1] - ahead == len(expected)
    np.testing.assert_allclose(found[:, ahead:], expected.transpose(0, 1).numpy(), atol=1e-4, rtol=0)
    assert (found[:, :ahead].argmax(axis=2) == 0).all(), "blanks before the first output"


def saved(folder: Path, overrides: Sequence[str], waveforms: list[Tensor]) -> Recognizer:
    recognizer = random_recognizer([*KALDI, *overrides], waveforms)
    save_model(folder, recognizer.model, recognizer.config, recognizer.tokenizer)
    return recognizer


def text_of(recognizer: Recognizer, waveform: Tensor) -> str:
    (text,) = recognizer.decoder(*recognizer.log_probs(waveform[None], torch.tensor([len(waveform)])))
    return text


def test_sherpa_onnx_recognizes_what_this_package_does(
    waveforms: list[Tensor], tmp_path: Path, capsys: Capture
) -> None:
    sherpa = pytest.importorskip("sherpa_onnx", reason="pip install 'asr[dev]' brings sherpa-onnx")
    recognizer = saved(tmp_path / "model", ["model=lstm_streaming"], waveforms)
    out = tmp_path / "out"
    assert main(["deploy", str(tmp_path / "model"), "--to", "sherpa-onnx", "-o", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"README.md", "model.onnx", "stream.onnx", "tokens.txt"}
    assert "greedy texts the same" in capsys.readouterr().out
    tokens = str(out / "tokens.txt")
    whole = sherpa.OfflineRecognizer.from_zipformer_ctc(str(out / "model.onnx"), tokens, num_threads=1)
    chunks = sherpa.OnlineRecognizer.from_zipformer2_ctc(tokens, str(out / "stream.onnx"), num_threads=1)
    silence = torch.zeros(16000)  # a stream takes whole chunks only
    for waveform in waveforms:
        stream = whole.create_stream()
        stream.accept_waveform(16000, waveform.numpy())
        whole.decode_stream(stream)
        assert " ".join(stream.result.text.split()) == text_of(recognizer, waveform)
        stream = chunks.create_stream()
        ended = torch.cat([waveform, silence])
        for part in ended.split(1600):
            stream.accept_waveform(16000, part.numpy())
            while chunks.is_ready(stream):
                chunks.decode_stream(stream)
        expected = recognizer.stream()
        expected.accept(ended)
        found = " ".join(chunks.get_result(stream).split())
        assert found and expected.text.startswith(found)


def test_a_model_of_two_directions_has_no_graph_for_streams(waveforms: list[Tensor], tmp_path: Path) -> None:
    saved(tmp_path / "model", ["model=gru"], waveforms)
    assert main(["deploy", str(tmp_path / "model"), "--to", "sherpa-onnx", "-o", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "model.onnx", "tokens.txt"}
    readme = (tmp_path / "out/README.md").read_text()
    assert "from_zipformer_ctc" in readme and "from_zipformer2_ctc" not in readme


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["features=logmel"], "sherpa-onnx computes no logmel features: train with features=kaldi."),
        (["features=mfcc"], "sherpa-onnx computes no mfcc features: train with features=kaldi."),
        (["features.deltas=true"], "features.deltas=True: train with features=kaldi"),
        (["features.window_ms=20"], "not features.window_ms=20"),
        (["model.subsampling=2"], "train with model.subsampling=4"),
    ],
)
def test_what_sherpa_onnx_cannot_feed_is_refused(
    overrides: list[str], sentence: str, waveforms: list[Tensor], tmp_path: Path, capsys: Capture
) -> None:
    saved(tmp_path / "model", overrides, waveforms)
    command = ["deploy", str(tmp_path / "model"), "--to", "sherpa-onnx", "-o", str(tmp_path / "out")]
    assert sentence in refused(capsys, *command)
    assert not (tmp_path / "out").exists()


def test_a_graph_that_differs_from_pytorch_is_not_kept(
    waveforms: list[Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    saved(tmp_path / "model", ["model=gru_streaming"], waveforms)
    monkeypatch.setattr(verification, "LIMIT", 0.0)
    command = ["deploy", str(tmp_path / "model"), "--to", "sherpa-onnx", "-o", str(tmp_path / "out")]
    assert "model.onnx differs from PyTorch by" in refused(capsys, *command)
    assert not (tmp_path / "out").exists()


def test_a_recording_at_8_khz_has_40_bands(tmp_path: Path) -> None:
    sherpa = pytest.importorskip("sherpa_onnx", reason="pip install 'asr[dev]' brings sherpa-onnx")
    waveform = 0.1 * torch.randn(12000, generator=torch.Generator().manual_seed(1))
    recognizer = saved(tmp_path / "model", ["data=8khz", "data.license=null"], [waveform])
    assert main(["deploy", str(tmp_path / "model"), "--to", "sherpa-onnx", "-o", str(tmp_path / "out")]) == 0
    assert "sample_rate=8000, feature_dim=40" in (tmp_path / "out/README.md").read_text()
    files = (str(tmp_path / "out/model.onnx"), str(tmp_path / "out/tokens.txt"))
    whole = sherpa.OfflineRecognizer.from_zipformer_ctc(*files, num_threads=1, sample_rate=8000, feature_dim=40)
    stream = whole.create_stream()
    stream.accept_waveform(8000, waveform.numpy())
    whole.decode_stream(stream)
    assert " ".join(stream.result.text.split()) == text_of(recognizer, waveform)
    soundfile.write(tmp_path / "a.wav", waveform.numpy(), 8000)
