"""Augmentation of training utterances: each draw is a pure function of (seed, epoch, utterance id)."""

import functools
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from asr.data.draws import Keys, mix, uniform
from asr.errors import ConfigError
from asr.features.config import AugmentConfig, SpecAugmentConfig


def draw_speed_factors(keys: Keys, config: AugmentConfig, seed: int, epoch: int) -> npt.NDArray[np.float64]:
    """Draws the speed of each utterance in an epoch, all factors being equally likely.

    Args:
        keys: Shape (utterances,), as made by `asr.data.draws.keys_of`.

    Returns:
        Speed factors, shape (utterances,).
    """
    factors = np.array(config.speed_factors, dtype=np.float64)
    if len(factors) == 0:
        raise ConfigError("augment.speed_factors is empty: give at least one factor, [1.0] for none.")
    return factors[(uniform(keys, "speed", seed, epoch) * len(factors)).astype(np.int64)]


def perturbed_samples(samples: int, factor: float) -> int:
    """How many samples an utterance has after its change of speed."""
    speed = _ratio(factor)
    return -(-samples * speed.denominator // speed.numerator)


def change_speed(waveform: Tensor, factor: float) -> Tensor:
    """Plays a waveform faster (above 1) or slower, the pitch following as with a tape (Ko et al., 2015).

    Args:
        waveform: Shape (samples,).

    Returns:
        Shape (`perturbed_samples(samples, factor)`,).
    """
    if factor == 1.0:
        return waveform
    # torchaudio computes the output's length in float32: the extra zeros leave room to cut it to the exact one.
    room = nn.functional.pad(waveform, (0, 2 * _ratio(factor).numerator))
    resampled: Tensor = _resampler(factor)(room)
    return resampled[: perturbed_samples(len(waveform), factor)]


def perturb_waveform(waveform: Tensor, key: int, config: AugmentConfig, seed: int, epoch: int) -> Tensor:
    """Adds white noise at a drawn signal-to-noise ratio, and changes the level.

    Args:
        waveform: Shape (samples,), on the CPU.
        key: Of the utterance, as made by `asr.data.draws.key_of`.

    Returns:
        Shape (samples,); samples may leave [-1, 1], nothing is clipped.
    """
    noise, gain = config.noise, config.gain
    if _draw(key, "noise", seed, epoch) < noise.probability:
        snr_db = noise.snr_low_db + (noise.snr_high_db - noise.snr_low_db) * _draw(key, "snr", seed, epoch)
        generator = torch.Generator().manual_seed(mix("white noise", seed, epoch, key))
        white = torch.randn(waveform.shape, generator=generator)
        waveform = waveform + white * waveform.square().mean().sqrt() * 10 ** (-snr_db / 20)
    if _draw(key, "gain", seed, epoch) < gain.probability:
        gain_db = gain.low_db + (gain.high_db - gain.low_db) * _draw(key, "level", seed, epoch)
        waveform = waveform * 10 ** (gain_db / 20)
    return waveform


def spec_augment(
    features: Tensor, lengths: Tensor, keys: Keys, config: SpecAugmentConfig, hop_ms: float, seed: int, epoch: int
) -> Tensor:
    """Masks bands of features and stretches of time with 0, the mean of normalized features (Park et al., 2019).

    Widths are drawn from 0 to the widest, a mask over time being no wider than its share of the utterance.

    Args:
        features: Normalized, shape (batch, frames, dim).
        lengths: int64, shape (batch,), in frames.
        keys: Shape (batch,), as made by `asr.data.draws.keys_of`.
        hop_ms: Time between frames (ms).
    """
    frames, dim = features.shape[1:]
    widest = torch.full_like(lengths, int(config.frequency_width * dim))
    bands = _masks(keys, "frequency", config.frequency_masks, widest, torch.full_like(lengths, dim), dim, seed, epoch)
    widest = (config.time_share * lengths).long().clamp_max(int(config.time_width_ms / hop_ms))
    times = _masks(keys, "time", config.time_masks, widest, lengths, frames, seed, epoch)
    return features.masked_fill(bands[:, None, :] | times[:, :, None], 0.0)


def _masks(
    keys: Keys, stream: str, masks: int, widest: Tensor, lengths: Tensor, positions: int, seed: int, epoch: int
) -> Tensor:
    """Marks the positions under any of an utterance's masks, shape (batch, positions)."""
    if masks == 0:
        return torch.zeros(len(lengths), positions, dtype=torch.bool, device=lengths.device)
    drawn = {
        what: np.stack([uniform(keys, stream, what, mask, seed, epoch) for mask in range(masks)], axis=1)
        for what in ("width", "start")
    }
    width, start = (torch.from_numpy(draws).to(lengths.device, non_blocking=True) for draws in drawn.values())
    widths = (width * (widest + 1)[:, None]).long()
    starts = (start * (lengths[:, None] - widths + 1)).long()
    position = torch.arange(positions, device=lengths.device)
    inside = (position >= starts[:, :, None]) & (position < (starts + widths)[:, :, None])
    return inside.any(dim=1)


def _draw(key: int, *parts: int | str) -> float:
    return float(uniform(np.array([key], dtype=np.uint64), *parts)[0])


@functools.cache
def _ratio(factor: float) -> Fraction:
    # str() gives the decimal that the configuration holds: 0.9 is 9/10, not the nearest binary fraction.
    speed = Fraction(str(float(factor))) if 0.5 <= factor <= 2 else None
    if speed is None or speed.denominator > 100:
        raise ConfigError(
            f"augment.speed_factors: {factor} must lie between 0.5 and 2 and have at most two decimals, such as 0.9."
        )
    return speed


@functools.cache
def _resampler(factor: float) -> Resample:
    speed = _ratio(factor)
    return Resample(speed.numerator, speed.denominator)
