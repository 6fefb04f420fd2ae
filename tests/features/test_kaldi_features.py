"""Kaldi's filterbank is that of kaldi-native-fbank and of torchaudio, at both ends of an utterance too."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchaudio.compliance import kaldi

from asr.commands import train
from asr.features.extractor import FeatureExtractor, frame_count, settled_frames
from asr.inference.recognizer import load
from asr.model.folder import WEIGHTS
from asr.settings.compose import compose
from asr.settings.features import FeatureKind, FeaturesConfig
from asr.settings.hardware import Precision
from asr.settings.recipe import find_recipe
from asr.training.run_folder import find_run_folder
from tests.helpers import stored_features
from tests.helpers.trainings import SMALL, prepare_yesno

KALDI = replace(stored_features.LOGMEL, kind=FeatureKind.kaldi, mels=80, deltas=False)
RATES = [(8000, 40), (16000, 80), (11025, 40), (44100, 80)]
SAMPLES = [1, 39, 40, 41, 79, 80, 119, 120, 121, 200, 279, 280, 399, 401, 1001, 8001, 48007]
"""Shorter than half a hop, than the mirrored edge, than the window, and longer."""


def extracted(waveform: Tensor, sampling_rate: int, config: FeaturesConfig) -> Tensor:
    features, (frames,) = FeatureExtractor(config, sampling_rate)(waveform[None], torch.tensor([len(waveform)]))
    assert features.shape[1] == frames == frame_count(config, sampling_rate, len(waveform))
    return features[0]


def waveform_of(samples: int, scale: float) -> Tensor:
    """Noise around a tone and a constant."""
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    return scale * (noise + 0.5 * torch.sin(0.05 * torch.arange(samples)) + 0.3)


@pytest.mark.parametrize("scale", [0.2, 1e-5])
@pytest.mark.parametrize(("sampling_rate", "mels"), RATES)
def test_frames_are_those_of_kaldi_native_fbank(sampling_rate: int, mels: int, scale: float) -> None:
    native = pytest.importorskip("kaldi_native_fbank", reason="pip install 'asr[dev]' brings kaldi-native-fbank")
    options = native.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = sampling_rate, 0.0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = mels, 20, -400
    for samples in SAMPLES:
        waveform = waveform_of(samples, scale)
        reference = native.OnlineFbank(options)
        reference.accept_waveform(sampling_rate, waveform.tolist())
        reference.input_finished()
        expected = [reference.get_frame(number) for number in range(reference.num_frames_ready)]
        found = extracted(waveform, sampling_rate, replace(KALDI, mels=mels)).numpy()
        np.testing.assert_allclose(found, np.array(expected).reshape(-1, mels), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("sampling_rate", "mels"), RATES)
def test_frames_are_those_of_torchaudio(sampling_rate: int, mels: int) -> None:
    for samples in SAMPLES:
        if samples < 0.025 * sampling_rate:
            continue  # torchaudio refuses it
        waveform = waveform_of(samples, 0.2)
        expected = kaldi.fbank(
            waveform[None], num_mel_bins=mels, sample_frequency=sampling_rate, snip_edges=False, high_freq=-400.0
        )
        found = extracted(waveform, sampling_rate, replace(KALDI, mels=mels))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_silence_is_at_the_floor_of_kaldi() -> None:
    silence = torch.full((16000,), 0.25)  # a constant is none
    assert (extracted(silence, 16000, KALDI) == np.float32(np.log(np.finfo(np.float32).eps))).all()


@pytest.mark.parametrize("rubbish", [100.0, torch.nan])
def test_edges_are_mirrored_where_each_utterance_ends_not_where_the_batch_does(rubbish: float) -> None:
    waveforms = [waveform_of(samples, 0.1) for samples in (8001, 100, 4321, 3, 400, 81)]
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    for beyond in (0, 1, 5000):
        batch = torch.nn.functional.pad(pad_sequence(waveforms, batch_first=True), (0, beyond))
        batch[torch.arange(batch.shape[1]) >= lengths[:, None]] = rubbish
        features, frames = FeatureExtractor(KALDI, 16000)(batch, lengths)
        assert frames.tolist() == [50, 1, 27, 0, 3, 1]
        for number, waveform in enumerate(waveforms):
            alone = extracted(waveform, 16000, KALDI)
            torch.testing.assert_close(features[number, : len(alone)], alone, atol=1e-5, rtol=1e-5)
            assert not features[number, len(alone) :].any()


@pytest.mark.parametrize("config", [KALDI, replace(KALDI, window_ms=10, hop_ms=12, mels=40)])
def test_more_samples_do_not_change_settled_frames(config: FeaturesConfig) -> None:
    waveform = waveform_of(3000, 0.1)
    whole = extracted(waveform, 16000, config)
    for samples in range(0, 3000, 17):
        settled = settled_frames(config, 16000, samples)
        found = extracted(waveform[:samples], 16000, config)
        assert settled <= len(found)
        torch.testing.assert_close(found[:settled], whole[:settled], atol=1e-5, rtol=1e-5)
        if len(found) > settled and config is KALDI:
            assert (found[settled] - whole[settled]).abs().max() > 1e-3  # of none that has settled is less given


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_training_reads_them_from_the_store_or_computes_them_in_time(tmp_path: Path) -> None:
    recipe = find_recipe(prepare_yesno(tmp_path / "data"))
    models = []
    for source in ("store", "online"):
        paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / source}"]
        only = ["training.epochs=1", "features=kaldi", f"features.source={source}", "augment.speed_factors=[0.9,1.1]"]
        config = compose(recipe, [*paths, *SMALL, *only, "hardware.precision=fp32"])
        train.run(recipe, config)
        models.append(find_run_folder(recipe, config, Precision.fp32).model)
    store, online = (load_file(model / WEIGHTS) for model in models)
    for name, weights in store.items():
        torch.testing.assert_close(online[name], weights, atol=1e-3, rtol=1e-3, msg=name)
    recognizer = load(models[0])
    assert recognizer.front.extractor.dim == 40
    waveform = waveform_of(8000, 0.1)[None]
    assert recognizer.log_probs(waveform, torch.tensor([8000]))[0].isfinite().all()
