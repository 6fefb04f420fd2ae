"""Features are what their definition says, and the same alone and in a padded batch; so is their normalization."""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.common.errors import ConfigError, DataError
from asr.data.archives import mirrors
from asr.features.extractor import POWER_FLOOR, FeatureExtractor, frame_count
from asr.features.front_end import Normalizer
from asr.settings.features import FeatureKind, FeaturesConfig, Normalization
from tests.helpers import stored_features

RATE = 16000
LOGMEL = replace(stored_features.LOGMEL, mels=80, deltas=False)
MFCC = replace(LOGMEL, kind=FeatureKind.mfcc, coefficients=40)
SPECTROGRAM = replace(LOGMEL, kind=FeatureKind.spectrogram, mels=None, window_ms=20)
KALDI = replace(LOGMEL, kind=FeatureKind.kaldi)
KINDS = [LOGMEL, replace(LOGMEL, deltas=True), MFCC, replace(MFCC, deltas=True), SPECTROGRAM, KALDI]
KINDS += [replace(KALDI, deltas=True), replace(KALDI, window_ms=10, hop_ms=12, mels=40)]


def name_of(config: FeaturesConfig) -> str:
    return config.kind.value + ("+deltas" if config.deltas else "")


@pytest.fixture(scope="module")
def speech() -> list[Tensor]:
    """Utterances of different lengths at 16 kHz: from AN4 where a mirror has it, else harmonics in noise."""
    archive = next(
        (mirror / "an4_sphere.tar.gz" for mirror in mirrors() if (mirror / "an4_sphere.tar.gz").exists()), None
    )
    if archive is None:
        return [
            generated_speech(seconds, pitch) for seconds, pitch in ((1.31, 110), (2.05, 180), (0.4, 220), (0.9, 90))
        ]
    recordings: list[Tensor] = []
    with tarfile.open(archive, "r|gz") as members:
        for member in members:
            content = members.extractfile(member) if member.name.endswith(".sph") else None
            if content is not None:
                recordings.append(torch.from_numpy(soundfile.read(io.BytesIO(content.read()), dtype="float32")[0]))
            if len(recordings) == 6:
                break
    return recordings


def generated_speech(seconds: float, pitch: float) -> Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    voiced = sum(torch.sin(2 * torch.pi * pitch * harmonic * time) / harmonic for harmonic in range(1, 20))
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(1))
    return (0.1 * voiced * torch.sin(2 * torch.pi * 3 * time).clamp_min(0) + 1e-3 * noise).float()


def padded(waveforms: list[Tensor], beyond: int = 0, rubbish: float = 0.0) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    batch = pad_sequence([*waveforms, torch.zeros(int(lengths.max()) + beyond)], batch_first=True)[:-1]
    batch[torch.arange(batch.shape[1]) >= lengths[:, None]] = rubbish
    return batch, lengths


@pytest.mark.parametrize(("config", "dim"), list(zip(KINDS, [80, 240, 40, 120, 161, 80, 240, 40], strict=True)))
def test_frames_have_the_promised_size(config: FeaturesConfig, dim: int) -> None:
    extractor = FeatureExtractor(config, RATE)
    features, lengths = extractor(torch.randn(2, RATE), torch.tensor([RATE, RATE // 2]))
    frames = frame_count(config, RATE, RATE)
    assert extractor.dim == dim
    assert features.shape == (2, frames, dim)
    assert features.dtype == torch.float32
    assert lengths.tolist() == [frames, frame_count(config, RATE, RATE // 2)]


@settings(deadline=None, max_examples=50)
@given(samples=st.integers(0, 3000), config=st.sampled_from([LOGMEL, SPECTROGRAM]), rate=st.sampled_from([8000, 16000]))
def test_a_frame_exists_where_its_whole_window_does(samples: int, config: FeaturesConfig, rate: int) -> None:
    config = replace(config, mels=config.mels and 40)
    window, hop = round(config.window_ms * rate / 1000), round(config.hop_ms * rate / 1000)
    expected = len([start for start in range(0, samples, hop) if start + window <= samples])
    assert frame_count(config, rate, samples) == expected
    features, lengths = FeatureExtractor(config, rate)(torch.randn(1, samples), torch.tensor([samples]))
    assert features.shape[1] == lengths.item() == expected


@pytest.mark.parametrize("config", [LOGMEL, SPECTROGRAM], ids=name_of)
def test_a_frame_is_the_spectrum_of_its_window(config: FeaturesConfig, speech: list[Tensor]) -> None:
    waveform = speech[0]
    extractor = FeatureExtractor(config, RATE)
    features = extractor(waveform[None], torch.tensor([len(waveform)]))[0][0]
    window, hop = round(config.window_ms * RATE / 1000), round(config.hop_ms * RATE / 1000)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    for frame in (0, 40, len(features) - 1):
        samples = waveform[frame * hop : frame * hop + window].double().numpy()
        power = np.abs(np.fft.rfft(samples * hann, extractor.n_fft)) ** 2
        if extractor.filterbank is not None:
            power = power @ extractor.filterbank.double().numpy()
        np.testing.assert_allclose(features[frame].numpy(), np.log(np.maximum(power, POWER_FLOOR)), atol=1e-3)


@pytest.mark.parametrize("config", KINDS, ids=name_of)
def test_neither_batch_nor_padding_reaches_a_frame(config: FeaturesConfig, speech: list[Tensor]) -> None:
    extractor = FeatureExtractor(config, RATE)
    batch, lengths = extractor(*padded(speech, beyond=5000, rubbish=100.0))
    for number, waveform in enumerate(speech):
        alone, frames = extractor(waveform[None], torch.tensor([len(waveform)]))
        assert lengths[number] == frames[0] == alone.shape[1]
        torch.testing.assert_close(batch[number, : frames[0]], alone[0], atol=1e-5, rtol=1e-5)
        assert not batch[number, frames[0] :].any()


def test_deltas_are_regressions_that_hold_both_ends(speech: list[Tensor]) -> None:
    extractor = FeatureExtractor(replace(MFCC, deltas=True), RATE)
    features, lengths = extractor(*padded(speech, beyond=5000))
    for frames, length in zip(features, lengths.tolist(), strict=True):
        static, first, second = frames[:length].split(40, dim=1)
        torch.testing.assert_close(first, slope(static), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(second, slope(first), atol=1e-4, rtol=1e-4)


def slope(features: Tensor) -> Tensor:
    """The slope of the line through five frames, which repeat the first and the last one at the ends."""
    held = torch.cat([features[:1], features[:1], features, features[-1:], features[-1:]])
    return (2 * (held[4:] - held[:-4]) + held[3:-1] - held[1:-3]) / 10


def test_utterances_shorter_than_a_window_have_no_frames() -> None:
    extractor = FeatureExtractor(replace(LOGMEL, deltas=True), RATE)
    waveforms, lengths = padded([torch.ones(100), torch.zeros(0)])
    features, frames = extractor(waveforms, lengths)
    assert features.shape == (2, 0, 240)
    assert frames.tolist() == [0, 0]
    features, frames = extractor(*padded([torch.ones(100), torch.ones(1000)]))
    assert frames.tolist() == [0, 4]
    assert not features[0].any()
    assert features.isfinite().all()


def test_digital_silence_is_finite() -> None:
    for config in KINDS:
        assert FeatureExtractor(config, RATE)(torch.zeros(1, RATE), torch.tensor([RATE]))[0].isfinite().all()


def test_autocast_does_not_lower_the_precision(speech: list[Tensor]) -> None:
    extractor = FeatureExtractor(replace(MFCC, deltas=True), RATE)
    waveforms, lengths = padded(speech)
    expected, _ = extractor(waveforms, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features, _ = extractor(waveforms, lengths)
    assert torch.equal(features, expected)


def test_buffers_follow_from_the_configuration_alone() -> None:
    assert FeatureExtractor(MFCC, RATE).state_dict() == {}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (replace(LOGMEL, mels=None), "features.mels"),
        (replace(LOGMEL, mels=0), "features.mels"),
        (replace(LOGMEL, mels=200), "lower features.mels"),
        (replace(LOGMEL, coefficients=13), "features.coefficients"),
        (replace(MFCC, coefficients=None), "features.coefficients"),
        (replace(MFCC, coefficients=81), "features.coefficients"),
        (replace(SPECTROGRAM, mels=80), "features.mels"),
        (replace(KALDI, mels=3), "features.mels"),
        (replace(KALDI, mels=300), "lower features.mels"),
        (replace(KALDI, coefficients=13), "features.coefficients"),
        (replace(LOGMEL, hop_ms=0), "features.hop_ms"),
        (replace(LOGMEL, window_ms=0), "features.window_ms"),
    ],
)
def test_settings_that_do_not_fit_are_named(config: FeaturesConfig, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        FeatureExtractor(config, RATE)


@pytest.fixture
def features() -> tuple[Tensor, Tensor]:
    """Features far from zero, rubbish past their ends, and lengths."""
    frames = torch.randn(4, 50, 8, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 9) - 12
    return frames, torch.tensor([50, 31, 7, 1])


def test_utterances_are_normalized_over_their_own_frames(features: tuple[Tensor, Tensor]) -> None:
    frames, lengths = features
    normalizer = Normalizer(Normalization.utterance, 8)
    normalized = normalizer(frames, lengths)
    for number, length in enumerate(lengths.tolist()):
        alone = normalizer(frames[number : number + 1, :length], lengths[number : number + 1])[0]
        torch.testing.assert_close(normalized[number, :length], alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.mean(dim=0), torch.zeros(8), atol=1e-5, rtol=0)
        if length > 1:
            torch.testing.assert_close(alone.var(dim=0, correction=0), torch.ones(8), atol=1e-4, rtol=0)
        assert not normalized[number, length:].any()


def test_a_constant_feature_becomes_zero() -> None:
    frames = torch.full((1, 100, 2), -18.420681)
    assert Normalizer(Normalization.utterance, 2)(frames, torch.tensor([100])).abs().max() < 1e-2


def test_the_corpus_is_normalized_over_all_its_frames(features: tuple[Tensor, Tensor]) -> None:
    frames, lengths = features
    utterances = [frames[number, :length] for number, length in enumerate(lengths.tolist())]
    normalizer = Normalizer(Normalization.corpus, 8)
    normalizer.fit(iter([*utterances, torch.zeros(0, 8)]))
    together = torch.cat(utterances).double()
    torch.testing.assert_close(normalizer.mean, together.mean(dim=0).float())
    torch.testing.assert_close(normalizer.std, together.std(dim=0, correction=0).float())

    loaded = Normalizer(Normalization.corpus, 8)
    loaded.load_state_dict(normalizer.state_dict())
    normalized = loaded(frames, lengths)
    valid = torch.cat([normalized[number, :length] for number, length in enumerate(lengths.tolist())])
    torch.testing.assert_close(valid.mean(dim=0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(valid.var(dim=0, correction=0), torch.ones(8), atol=1e-5, rtol=0)
    assert not normalized[1, 31:].any()


def test_statistics_that_nobody_fitted_give_no_numbers(features: tuple[Tensor, Tensor]) -> None:
    assert Normalizer(Normalization.corpus, 8)(*features)[0].isnan().all()
    with pytest.raises(DataError, match="no frame"):
        Normalizer(Normalization.corpus, 8).fit([])


def test_without_normalization_only_the_padding_changes(features: tuple[Tensor, Tensor]) -> None:
    frames, lengths = features
    normalizer = Normalizer(Normalization.none, 8)
    kept = normalizer(frames, lengths)
    assert torch.equal(kept[1, :31], frames[1, :31])
    assert not kept[1, 31:].any()
    assert normalizer.state_dict() == {}
