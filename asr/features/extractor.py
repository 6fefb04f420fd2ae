"""Waveform to frames: log-mel, MFCC, log spectrogram or Kaldi's filterbank, the same for a single utterance and in a
padded batch."""

import warnings

import torch
import torchaudio.functional as audio
from torch import Tensor, nn
from torchaudio.compliance import kaldi

from asr.common.errors import ConfigError
from asr.settings.features import FeatureKind, FeaturesConfig

POWER_FLOOR = 1e-8
"""Power at which the logarithm is clipped: about that of 16-bit quantization noise in one bin of a 25 ms window."""

KALDI_FLOOR = float(torch.finfo(torch.float32).eps)
"""The same in Kaldi, whatever the scale of the samples: here they are in [-1, 1], as sherpa-onnx feeds them."""
KALDI_BAND = (20.0, -400.0)
"""Where the lowest band of Kaldi's filterbank begins and the highest ends, which counts from the Nyquist frequency
(Hz)."""
PRE_EMPHASIS = 0.97

LARGEST_FILTERBANK = 1 << 26
"""Coefficients of the mel bands for the frequencies of a window."""


def window_samples(config: FeaturesConfig, sampling_rate: int) -> int:
    """Length of the analysis window in samples."""
    return _samples(config, config.window_ms, sampling_rate)


def hop_samples(config: FeaturesConfig, sampling_rate: int) -> int:
    """Samples from one frame to the next."""
    return _samples(config, config.hop_ms, sampling_rate)


def _samples(config: FeaturesConfig, milliseconds: float, sampling_rate: int) -> int:
    samples = milliseconds * sampling_rate / 1000
    return int(samples) if config.kind is FeatureKind.kaldi else round(samples)


def lead_samples(config: FeaturesConfig, sampling_rate: int) -> int:
    """Samples from the beginning of the first window to that of the utterance; below 0 where the window is the later.

    Kaldi centres frame f on sample hop * (f + 1/2), so its first and last windows reach beyond the utterance.
    """
    if config.kind is not FeatureKind.kaldi:
        return 0
    return window_samples(config, sampling_rate) // 2 - hop_samples(config, sampling_rate) // 2


def settled_frames(config: FeaturesConfig, sampling_rate: int, samples: int) -> int:
    """Frames of an utterance that more samples at its end do not change: those whose whole window has arrived."""
    spare = samples + lead_samples(config, sampling_rate) - window_samples(config, sampling_rate)
    return 1 + spare // hop_samples(config, sampling_rate) if spare >= 0 else 0


def frame_count(config: FeaturesConfig, sampling_rate: int, samples: int) -> int:
    """Frames of an utterance: those whose whole window lies within its samples; with Kaldi's features those whose
    centre does."""
    if config.kind is not FeatureKind.kaldi:
        return settled_frames(config, sampling_rate, samples)
    hop = hop_samples(config, sampling_rate)
    return (samples + hop // 2) // hop


def least_audio(config: FeaturesConfig) -> str:
    """What an utterance must be as long as to have a frame, in words."""
    if config.kind is FeatureKind.kaldi:
        return f"half of features.hop_ms={config.hop_ms:g}"
    return f"the window of features.window_ms={config.window_ms:g}"


class FeatureExtractor(nn.Module):
    """Computes features in float32, regardless of autocast.

    A frame exists only where all samples of its window do (no centre padding), so neither padding nor the batch affects
    a valid frame. Kaldi's windows also reach beyond the two ends of an utterance, where they find its samples mirrored
    (`snip_edges=false`). The buffers follow from the configuration and are not part of the state dict.

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
            filterbank = _mel_filterbank(config, self.n_fft, sampling_rate)
            if config.coefficients is not None:
                cosines = audio.create_dct(config.coefficients, config.mels, norm="ortho")
        self.lead = lead_samples(config, sampling_rate)
        self.mirrored = max(-(-self.lead // self.hop), 0)
        """Frames of an utterance whose windows begin before it."""
        window = torch.hann_window(samples)
        if config.kind is FeatureKind.kaldi:
            window = torch.hann_window(samples, periodic=False, dtype=torch.float64).pow(0.85).float()  # Povey's
        self.register_buffer("window", window, persistent=False)
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
            utterance that is too short.
        """
        batch, samples = waveforms.shape
        frames = self.frames(lengths)
        if frame_count(self.config, self.sampling_rate, samples) == 0:
            return waveforms.new_zeros(batch, 0, self.dim), frames
        with torch.autocast(waveforms.device.type, enabled=False):
            features = self._log_power(waveforms.float(), lengths)
            if self.cosines is not None:
                features = features @ self.cosines
            if self.config.deltas:
                first = _delta(features, frames)
                features = torch.cat([features, first, _delta(first, frames)], dim=2)
        valid = torch.arange(features.shape[1], device=frames.device) < frames[:, None]
        return features.masked_fill(~valid[:, :, None], 0.0), frames

    def frames(self, lengths: Tensor) -> Tensor:
        """Frames of utterances with these lengths in samples, int64 (batch,), on the device of the lengths."""
        if self.config.kind is FeatureKind.kaldi:
            return (lengths + self.hop // 2) // self.hop
        spare = lengths - len(self.window)
        return torch.where(spare >= 0, 1 + spare.clamp_min(0) // self.hop, 0)

    def _log_power(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        mirrored = self.config.kind is FeatureKind.kaldi
        spectrum = self._spectrum_of_kaldi(waveforms, lengths) if mirrored else self._spectrum(waveforms)
        power = spectrum.real.square() + spectrum.imag.square()  # abs() of complex numbers is slower
        if self.filterbank is not None:
            power = power @ self.filterbank
        return power.clamp_min(KALDI_FLOOR if mirrored else POWER_FLOOR).log()

    def _spectrum(self, waveforms: Tensor) -> Tensor:
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
        )
        return spectrum.transpose(1, 2)

    def _spectrum_of_kaldi(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """The mean of each frame is subtracted before its pre-emphasis."""
        frames = frame_count(self.config, self.sampling_rate, waveforms.shape[1])
        around = self._mirrored(waveforms, lengths)
        means = around.unfold(1, len(self.window), self.hop)[:, :frames].mean(dim=2, keepdim=True)
        # That of the waveform is that of its frames except for their first samples, where the window is 0.
        emphasized = around[:, 1:] - PRE_EMPHASIS * around[:, :-1]
        windows = emphasized.unfold(1, self.n_fft, self.hop)[:, :frames] - (1 - PRE_EMPHASIS) * means
        margin = self.n_fft - len(self.window) + 1
        spectrum: Tensor = torch.fft.rfft(windows * nn.functional.pad(self.window[1:], (0, margin)))
        return spectrum

    def _mirrored(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Utterances from the beginning of their first windows to the end of their last ones."""
        lead, device = max(self.lead, 0), waveforms.device
        before = torch.arange(-lead, 0, device=device).expand(len(lengths), lead)
        places = torch.cat([before, lengths[:, None] + torch.arange(self.n_fft + 1, device=device)], dim=1)
        period = 2 * lengths.clamp_min(1)[:, None]  # an utterance may be shorter than what is missing
        sources = places % period
        mirrored = waveforms.gather(1, torch.minimum(sources, period - 1 - sources))
        around = nn.functional.pad(waveforms, (lead, self.n_fft + 1)).scatter(1, places + lead, mirrored)
        return around[:, lead - self.lead :]


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
    if kind is FeatureKind.kaldi and mels is not None and mels < 4:
        raise ConfigError(f"features.mels={mels}: Kaldi's filterbank has at least 4 bands.")
    if kind is not FeatureKind.mfcc and coefficients is not None:
        raise ConfigError(f"features.coefficients={coefficients} applies to mfcc only: set it to null.")
    if kind is FeatureKind.mfcc and (coefficients is None or mels is None or not 1 <= coefficients <= mels):
        raise ConfigError(f"features.coefficients={coefficients}: mfcc needs a number from 1 to features.mels={mels}.")


def _mel_filterbank(config: FeaturesConfig, n_fft: int, sampling_rate: int) -> Tensor:
    """The share of each frequency in each band, (bins, mels)."""
    mels, bins = config.mels or 0, n_fft // 2 + 1
    filterbank: Tensor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchaudio warns about what is refused below
        if config.kind is FeatureKind.kaldi:
            bands, _ = kaldi.get_mel_banks(mels, n_fft, sampling_rate, *KALDI_BAND, 100.0, -500.0, 1.0)
            filterbank = nn.functional.pad(bands, (0, 1)).T.contiguous()  # it leaves out the Nyquist frequency
        else:
            filterbank = audio.melscale_fbanks(bins, 0.0, sampling_rate / 2, mels, sampling_rate)
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
