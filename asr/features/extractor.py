"""Waveform to frames: log-mel, MFCC or log spectrogram, the same for a single utterance and in a padded batch."""

import warnings

import torch
import torchaudio.functional as audio
from torch import Tensor, nn

from asr.common.errors import ConfigError
from asr.settings.features import FeatureKind, FeaturesConfig

POWER_FLOOR = 1e-8
"""Power at which the logarithm is clipped: about that of 16-bit quantization noise in one bin of a 25 ms window."""


LARGEST_FILTERBANK = 1 << 26
"""Coefficients of the mel bands for the frequencies of a window."""


def window_samples(config: FeaturesConfig, sampling_rate: int) -> int:
    """Length of the analysis window in samples."""
    return round(config.window_ms * sampling_rate / 1000)


def hop_samples(config: FeaturesConfig, sampling_rate: int) -> int:
    """Samples from one frame to the next."""
    return round(config.hop_ms * sampling_rate / 1000)


def frame_count(config: FeaturesConfig, sampling_rate: int, samples: int) -> int:
    """Frames of an utterance: those whose whole window lies within its samples."""
    spare = samples - window_samples(config, sampling_rate)
    return 1 + spare // hop_samples(config, sampling_rate) if spare >= 0 else 0


class FeatureExtractor(nn.Module):
    """Computes features in float32, regardless of autocast.

    A frame exists only where all samples of its window do (no centre padding), so neither padding nor the batch affects
    a valid frame. Its buffers follow from the configuration and are not part of the state dict.

    Raises:
        ConfigError: A key of the features contradicts others or the sampling rate.
    """

    window: Tensor
    filterbank: Tensor | None
    cosines: Tensor | None

    def __init__(self, config: FeaturesConfig, sampling_rate: int) -> None:
        super().__init__()
        _check(config, sampling_rate)
        self.config, self.sampling_rate = config, sampling_rate
        self.hop = hop_samples(config, sampling_rate)
        samples = window_samples(config, sampling_rate)
        # A linear spectrogram has a bin for each frequency of its window; a mel bank uses the faster power of two.
        self.n_fft = samples if config.kind is FeatureKind.spectrogram else 1 << (samples - 1).bit_length()
        bins = self.n_fft // 2 + 1
        if bins * (config.mels or 1) > LARGEST_FILTERBANK:
            raise ConfigError(
                f"features.mels={config.mels} of windows of features.window_ms={config.window_ms:g} at {sampling_rate} "
                "Hz would take gigabytes: lower one of them."
            )
        filterbank = cosines = None
        if config.mels is not None:
            filterbank = _mel_filterbank(config.mels, bins, sampling_rate)
            if config.coefficients is not None:
                cosines = audio.create_dct(config.coefficients, config.mels, norm="ortho")
        self.register_buffer("window", torch.hann_window(samples), persistent=False)
        self.register_buffer("filterbank", filterbank, persistent=False)
        self.register_buffer("cosines", cosines, persistent=False)
        self.dim = (config.coefficients or config.mels or bins) * (3 if config.deltas else 1)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the features of a padded batch.

        Args:
            waveforms: float32 in [-1, 1], shape (batch, samples), anything after each utterance's end.
            lengths: int64, shape (batch,), in samples.

        Returns:
            Features, shape (batch, frames, dim), zero past each utterance's end; and int64 lengths in frames, 0 for an
            utterance shorter than a window.
        """
        batch, samples = waveforms.shape
        frames = self.frames(lengths)
        if samples < len(self.window):
            return waveforms.new_zeros(batch, 0, self.dim), frames
        with torch.autocast(waveforms.device.type, enabled=False):
            features = self._log_power(waveforms.float())
            if self.cosines is not None:
                features = features @ self.cosines
            if self.config.deltas:
                first = _delta(features, frames)
                features = torch.cat([features, first, _delta(first, frames)], dim=2)
        valid = torch.arange(features.shape[1], device=frames.device) < frames[:, None]
        return features.masked_fill(~valid[:, :, None], 0.0), frames

    def frames(self, lengths: Tensor) -> Tensor:
        """Frames of utterances with these lengths in samples, int64 (batch,), on the device of the lengths."""
        spare = lengths - len(self.window)
        return torch.where(spare >= 0, 1 + spare.clamp_min(0) // self.hop, 0)

    def _log_power(self, waveforms: Tensor) -> Tensor:
        # torch.stft centers a window shorter than n_fft between zeros: this margin makes up for them at both ends.
        margin = self.n_fft - len(self.window)
        spectrum: Tensor = audio.spectrogram(
            nn.functional.pad(waveforms, (margin // 2, margin - margin // 2)),
            pad=0,
            window=self.window,
            n_fft=self.n_fft,
            hop_length=self.hop,
            win_length=len(self.window),
            power=None,
            normalized=False,
            center=False,
        ).transpose(1, 2)
        power = spectrum.real.square() + spectrum.imag.square()  # abs() of complex numbers is slower
        if self.filterbank is not None:
            power = power @ self.filterbank
        return power.clamp_min(POWER_FLOOR).log()


def _check(config: FeaturesConfig, sampling_rate: int) -> None:
    kind, mels, coefficients = config.kind, config.mels, config.coefficients
    if hop_samples(config, sampling_rate) < 1 or window_samples(config, sampling_rate) < 2:
        raise ConfigError(
            f"features.window_ms={config.window_ms} and features.hop_ms={config.hop_ms} must be longer than one sample "
            f"at {sampling_rate} Hz: raise them."
        )
    if kind is FeatureKind.spectrogram and mels is not None:
        raise ConfigError(f"features.mels={mels} does not apply to a spectrogram: set it to null.")
    if kind is not FeatureKind.spectrogram and (mels is None or mels < 1):
        raise ConfigError(f"features.mels={mels}: {kind.value} features need a number of mel bands, such as 80.")
    if kind is not FeatureKind.mfcc and coefficients is not None:
        raise ConfigError(f"features.coefficients={coefficients} applies to mfcc only: set it to null.")
    if kind is FeatureKind.mfcc and (coefficients is None or mels is None or not 1 <= coefficients <= mels):
        raise ConfigError(f"features.coefficients={coefficients}: mfcc needs a number from 1 to features.mels={mels}.")


def _mel_filterbank(mels: int, bins: int, sampling_rate: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchaudio warns about what is refused below
        filterbank: Tensor = audio.melscale_fbanks(bins, 0.0, sampling_rate / 2, mels, sampling_rate)
    if bool((filterbank.amax(dim=0) == 0).any()):
        raise ConfigError(
            f"features.mels={mels} is too many for the window at {sampling_rate} Hz: some bands contain no frequency; "
            "lower features.mels or raise features.window_ms."
        )
    return filterbank


def _delta(features: Tensor, lengths: Tensor) -> Tensor:
    """Time differences by regression over five frames; the last valid frame is repeated, as for a single utterance."""
    steps = torch.arange(features.shape[1], device=features.device)
    held = torch.minimum(steps, (lengths[:, None] - 1).clamp_min(0))
    features = features.gather(1, held[:, :, None].expand_as(features))
    delta: Tensor = audio.compute_deltas(features.transpose(1, 2), win_length=5, mode="replicate")
    return delta.transpose(1, 2)
