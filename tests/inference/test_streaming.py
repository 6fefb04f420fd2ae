"""A stream gives what the whole utterance gives, and models that cannot recognize a stream say why."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asr.common.errors import ConfigError, RunError
from asr.data.audio import read_waveform
from asr.inference.streaming import seconds_until
from tests.helpers.corpora import an4_utterances
from tests.helpers.models import random_recognizer

MODELS = {
    "rnn": ["model.cells=[rnn]"],
    "lstm": ["model.cells=[lstm]"],
    "gru": ["model.cells=[gru]"],
    "ligru": ["model.cells=[ligru]"],
    "hybrid with projection and residuals": ["model.cells=[gru,lstm]", "model.projection=20", "model.residual=true"],
    "half the subsampling, no lookahead": ["model.subsampling=2", "model.lookahead=0"],
    "half the subsampling": ["model.subsampling=2", "model.lookahead=3"],
    "deltas": ["features.deltas=true", "features=mfcc"],
    "mirrored edges": ["features=kaldi"],
    "mirrored edges and deltas": ["features=kaldi", "features.deltas=true"],
    "mirrored edges of long windows": ["features=kaldi", "features.window_ms=90"],
    "a hop longer than the window": ["features.hop_ms=30", "features.normalization=none"],
}


@pytest.fixture(scope="module")
def waveform(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """1.3 seconds of AN4."""
    return read_waveform(an4_utterances(tmp_path_factory.mktemp("an4"))[9])[16000:36800]


@pytest.mark.parametrize("model", MODELS)
def test_chunks_of_samples_give_what_the_whole_gives(model: str, waveform: Tensor) -> None:
    recognizer = random_recognizer(["model=lstm_streaming", *MODELS[model]], [waveform])
    whole, (length,) = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    for seed, longest in enumerate((500, 3000, 20000)):
        cuts = np.random.default_rng(seed).integers(1, longest, size=len(waveform)).cumsum()
        stream = recognizer.stream()
        for chunk in waveform.tensor_split(cuts[cuts < len(waveform)].tolist()):
            stream.accept(chunk)
            settled = stream.log_probs
            torch.testing.assert_close(settled, whole[: len(settled)], rtol=0, atol=1e-5)
        text = stream.finish()
        assert len(stream.log_probs) == length
        assert (stream.log_probs - whole[:length]).abs().max() <= 1e-5
        assert [text] == recognizer.decoder(whole, torch.tensor([length]))


@pytest.mark.parametrize("model", MODELS)
def test_chunks_of_frames_give_what_the_whole_gives(model: str, waveform: Tensor) -> None:
    recognizer = random_recognizer(["model=lstm_streaming", *MODELS[model]], [waveform])
    with torch.inference_mode():
        features, (frames,) = recognizer.front(waveform[None], torch.tensor([len(waveform)]))
        # Two utterances in step: the second is the first one reversed.
        both = torch.cat([features, features.flip(1)])
        whole, _ = recognizer.model(both, torch.tensor([frames, frames]))
        for size in (1, 2, 3, 5, 8, 60):
            state, parts = None, []
            for chunk in both.split(size, dim=1):
                log_probs, state = recognizer.model.stream(chunk, state)
                parts.append(log_probs)
            parts.append(recognizer.model.stream(both[:, :0], state, final=True)[0])
            assert (torch.cat(parts) - whole).abs().max() <= 1e-5


@pytest.mark.parametrize("model", MODELS)
def test_a_frame_has_its_log_probabilities_when_the_audio_that_it_needs_has_arrived(
    model: str, waveform: Tensor
) -> None:
    recognizer = random_recognizer(["model=lstm_streaming", *MODELS[model]], [waveform])
    stream, given = recognizer.stream(), 0
    for chunk in waveform.repeat(2).split(160):
        stream.accept(chunk)
        given += len(chunk)
        there = len(stream.log_probs)
        assert seconds_until(recognizer.config, there) > given / 16000
        assert there == 0 or seconds_until(recognizer.config, there - 1) <= given / 16000
    assert there > 0


def test_a_stream_has_a_hypothesis_of_the_audio_so_far(waveform: Tensor) -> None:
    recognizer = random_recognizer(["model=gru_streaming"], [waveform])
    stream = recognizer.stream()
    assert stream.text == ""
    stream.accept(waveform[: len(waveform) // 2])
    first = stream.text
    stream.accept(waveform[len(waveform) // 2 :])
    assert first and stream.finish().startswith(first[:-1].rstrip())
    with pytest.raises(RunError, match="is finished"):
        stream.accept(waveform)


def test_the_former_name_of_accept_still_works_with_a_warning(waveform: Tensor) -> None:
    recognizer = random_recognizer(["model=gru_streaming"], [waveform])
    stream, other = recognizer.stream(), recognizer.stream()
    with pytest.warns(DeprecationWarning, match=r"Stream\.accept"):
        stream.hear(waveform)
    other.accept(waveform)
    assert torch.equal(stream.log_probs, other.log_probs)


def test_an_utterance_shorter_than_a_window_has_no_text(waveform: Tensor) -> None:
    stream = random_recognizer(["model=gru_streaming"], [waveform]).stream()
    stream.accept(waveform[:100])
    assert stream.finish() == ""


def test_a_stream_with_mirrored_edges_may_be_shorter_than_a_window(waveform: Tensor) -> None:
    recognizer = random_recognizer(["model=gru_streaming", "features=kaldi"], [waveform])
    for samples in (80, 300, 641):
        whole, (length,) = recognizer.log_probs(waveform[None, :samples], torch.tensor([samples]))
        stream = recognizer.stream()
        for chunk in waveform[:samples].split(50):
            stream.accept(chunk)
        stream.finish()
        torch.testing.assert_close(stream.log_probs, whole[:length], rtol=0, atol=1e-5)


def test_a_stream_of_a_file_gives_its_transcription(waveform: Tensor, tmp_path: Path) -> None:
    recognizer = random_recognizer(["model=lstm_streaming"], [waveform])
    soundfile.write(tmp_path / "speech.wav", waveform.numpy(), 16000, subtype="FLOAT")
    stream = recognizer.stream()
    for chunk in waveform.split(1600):
        stream.accept(chunk)
    assert [stream.finish()] == recognizer.transcribe([tmp_path / "speech.wav"])


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["model=lstm"], "model.bidirectional=true"),
        (["model=lstm_streaming", "features.normalization=utterance"], "features.normalization=utterance"),
    ],
)
def test_a_model_that_needs_the_whole_utterance_says_so(overrides: list[str], key: str, waveform: Tensor) -> None:
    with pytest.raises(ConfigError, match=key):
        random_recognizer(overrides, [waveform]).stream()
