"""Speed, tempo and SpecAugment: each draw is a pure function of (seed, epoch, utterance id)."""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchaudio.functional import phase_vocoder
from torchaudio.transforms import Resample

from asr.common.errors import ConfigError
from asr.common.seeds import Draws
from asr.settings.augment import AugmentConfig, SpecAugmentConfig

VOCODER_SECONDS = 0.032
"""Window of the phase vocoder: two or three periods of a low-pitched voice."""


def draw_speed_factors(draws: Draws, config: AugmentConfig) -> npt.NDArray[np.float64]:
    """Draws the speed of each utterance in an epoch, shape (utterances,); all factors are equally likely."""
    factors = np.array(config.speed_factors, dtype=np.float64)
    if len(factors) == 0:
        raise ConfigError("augment.speed_factors is empty: give at least one factor, [1.0] for none.")
    return factors[(draws("speed") * len(factors)).astype(np.int64)]


def perturbed_samples(samples: int, factor: float) -> int:
    """Samples of an utterance after a change of speed."""
    speed = _ratio(factor)
    return -(-samples * speed.denominator // speed.numerator)


def change_speed(waveform: Tensor, factor: float) -> Tensor:
    """Plays a waveform of shape (samples,) faster (above 1) or slower, the pitch following as with a tape (Ko et al.,
    2015). The result has `perturbed_samples(samples, factor)` samples."""
    if factor == 1.0:
        return waveform
    # torchaudio computes the output's length in float32: the extra zeros allow to cut it to the exact length.
    room = nn.functional.pad(waveform, (0, 2 * _ratio(factor).numerator))
    resampled: Tensor = _resampler(factor)(room)
    return resampled[: perturbed_samples(len(waveform), factor)]


def draw_tempo_factors(draws: Draws, config: AugmentConfig) -> npt.NDArray[np.float64]:
    """Draws the tempo of each utterance in an epoch, as `draw_speed_factors` draws its speed."""
    factors = np.array(config.tempo_factors, dtype=np.float64)
    return factors[(draws("tempo") * len(factors)).astype(np.int64)]


def change_tempo(waveform: Tensor, factor: float, sampling_rate: int) -> Tensor:
    """As `change_speed`, but at the pitch of the waveform: a phase vocoder (Flanagan and Golden, 1966)."""
    if factor == 1.0:
        return waveform
    size = 1 << round(math.log2(VOCODER_SECONDS * sampling_rate))
    window, hop = torch.hann_window(size), size // 4
    # Room for the windows of the last samples.
    padded = nn.functional.pad(waveform, (0, 2 * size))
    spectrum = torch.stft(padded, size, hop, window=window, pad_mode="constant", return_complex=True)
    advance = torch.linspace(0, torch.pi * hop, size // 2 + 1)[:, None]
    stretched = phase_vocoder(spectrum, factor, advance)
    return torch.istft(stretched, size, hop, window=window, length=perturbed_samples(len(waveform), factor))


def spec_augment(features: Tensor, lengths: Tensor, draws: Draws, config: SpecAugmentConfig, hop_ms: float) -> Tensor:
    """Masks bands of features and spans of time with 0, the mean of normalized features (Park et al., 2019).

    Widths are drawn from 0 to the widest; a mask over time is limited to a share of the utterance. The number of masks
    may grow with the utterance (Park et al., "SpecAugment on large scale datasets", 2020).

    Args:
        features: Normalized, shape (batch, frames, dim).
        lengths: int64, shape (batch,), in frames.
    """
    frames, dim = features.shape[1:]
    widest = torch.full_like(lengths, int(config.frequency_width * dim))
    counts = torch.full_like(lengths, config.frequency_masks)
    drawn = _widths_and_starts(draws, "frequency", config.frequency_masks, lengths.device)
    bands = _masks(drawn, counts, widest, torch.full_like(lengths, dim), dim)
    counts = torch.full_like(lengths, config.time_masks)
    if config.time_masks_per_second is not None:
        seconds = lengths.double() * (hop_ms / 1000)
        counts = (config.time_masks_per_second * seconds).long().clamp_max(config.time_masks)
    widest = (config.time_share * lengths).long().clamp_max(int(config.time_width_ms / hop_ms))
    drawn = _widths_and_starts(draws, "time", config.time_masks, lengths.device)
    times = _masks(drawn, counts, widest, lengths, frames)
    return features.masked_fill(bands[:, None, :] | times[:, :, None], 0.0)


def _widths_and_starts(draws: Draws, stream: str, masks: int, device: torch.device) -> list[Tensor]:
    """Draws for the widths and the starts of masks, each (batch, masks), float64."""
    return [
        torch.from_numpy(
            np.stack([draws(stream, what, mask) for mask in range(masks)], axis=1)
            if masks
            else np.zeros((len(draws.keys), 0))
        ).to(device, non_blocking=True)
        for what in ("width", "start")
    ]


def _masks(drawn: Sequence[Tensor], counts: Tensor, widest: Tensor, lengths: Tensor, positions: int) -> Tensor:
    """Marks the positions under any of an utterance's masks, shape (batch, positions)."""
    width, start = drawn  # for as many masks as any utterance may have: reading the largest count would stall a GPU
    widths = (width * (widest + 1)[:, None]).long()
    starts = (start * (lengths[:, None] - widths + 1)).long()
    position = torch.arange(positions, device=lengths.device)
    inside = (position >= starts[:, :, None]) & (position < (starts + widths)[:, :, None])
    counted = torch.arange(width.shape[1], device=lengths.device) < counts[:, None]
    return (inside & counted[:, :, None]).any(dim=1)


@functools.cache
def _ratio(factor: float) -> Fraction:
    # str() gives the decimal of the configuration: 0.9 is 9/10, not the nearest binary fraction.
    speed = Fraction(str(float(factor))) if 0.5 <= factor <= 2 else None
    if speed is None or speed.denominator > 100:
        raise ConfigError(
            f"augment.speed_factors and augment.tempo_factors: {factor} must be from 0.5 to 2 "
            "and have at most two decimals, such as 0.9."
        )
    return speed


@functools.cache
def _resampler(factor: float) -> Resample:
    speed = _ratio(factor)
    return Resample(speed.numerator, speed.denominator)
