"""Augmentation is a pure function of (seed, epoch, utterance id), and does what its settings say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.common.errors import ConfigError
from asr.common.seeds import Draws, keys_of
from asr.features.augment import (
    change_speed,
    change_tempo,
    draw_speed_factors,
    draw_tempo_factors,
    perturbed_samples,
    spec_augment,
)
from asr.features.perturbation import Perturbation
from asr.settings.augment import AugmentConfig, GainConfig, NoiseConfig, SpecAugmentConfig
from asr.settings.compose import compose
from asr.settings.recipe import find_recipe

RATE = 16000
MASKS = SpecAugmentConfig(
    frequency_masks=2, frequency_width=0.34, time_masks=2, time_masks_per_second=None, time_width_ms=400, time_share=0.1
)
AUGMENT = replace(compose(find_recipe("an4"), ["name=test"]).augment, spec_augment=MASKS)
KEYS = keys_of([f"utterance-{number}" for number in range(3000)])


def perturb_waveform(waveform: Tensor, key: int, config: AugmentConfig, seed: int, epoch: int) -> Tensor:
    return Perturbation(config, seed)(waveform, RATE, key, epoch)


def tone(frequency: float, samples: int = RATE) -> Tensor:
    return 0.3 * torch.sin(2 * torch.pi * frequency * torch.arange(samples) / RATE)


def test_speeds_are_equally_likely_and_change_with_the_epoch() -> None:
    factors = draw_speed_factors(Draws(KEYS, 1, 0), AUGMENT)
    for factor in AUGMENT.speed_factors:
        assert abs((factors == factor).mean() - 1 / 3) < 0.04
    assert (factors != draw_speed_factors(Draws(KEYS, 1, 1), AUGMENT)).mean() > 0.5
    assert (factors != draw_speed_factors(Draws(KEYS, 2, 0), AUGMENT)).mean() > 0.5


def test_the_speed_of_an_utterance_does_not_depend_on_the_others() -> None:
    factors = draw_speed_factors(Draws(KEYS, 1, 3), AUGMENT)
    assert np.array_equal(draw_speed_factors(Draws(KEYS[::-7], 1, 3), AUGMENT), factors[::-7])


def test_another_speed_changes_length_and_pitch_alike() -> None:
    for factor in (0.9, 1.1, 1.25):
        changed = change_speed(tone(1000), factor)
        assert len(changed) == perturbed_samples(RATE, factor)
        peak = torch.fft.rfft(changed * torch.hann_window(len(changed)), 2 * RATE).abs().argmax() / 2
        assert peak.item() == pytest.approx(1000 * factor, abs=1)
    assert torch.equal(change_speed(tone(1000), 1.0), tone(1000))


@settings(deadline=None, max_examples=50)
@given(samples=st.integers(0, 5000), factor=st.sampled_from([0.5, 0.85, 0.9, 1.0, 1.05, 1.1, 2.0]))
def test_a_changed_speed_gives_exactly_the_foretold_samples(samples: int, factor: float) -> None:
    assert len(change_speed(torch.randn(samples), factor)) == perturbed_samples(samples, factor)


def test_lengths_stay_exact_where_float32_is_not() -> None:
    samples = 2**24 + 10
    assert perturbed_samples(samples, 0.9) == 18641363  # 10 / 9 of it, rounded up
    assert len(change_speed(torch.zeros(samples), 0.9)) == 18641363


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.3, 3.0, 0.9001, float("nan"), float("inf")])
def test_speeds_out_of_range_are_refused(factor: float) -> None:
    with pytest.raises(ConfigError, match=r"augment\.speed_factors"):
        perturbed_samples(RATE, factor)


def test_no_speed_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"augment\.speed_factors"):
        draw_speed_factors(Draws(KEYS, 1, 0), replace(AUGMENT, speed_factors=[]))


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_drawn_ratio_to_the_signal(snr_db: float) -> None:
    config = replace(AUGMENT, noise=NoiseConfig(1.0, snr_low_db=snr_db, snr_high_db=snr_db))
    waveform = tone(440, 4 * RATE)
    noise = perturb_waveform(waveform, int(KEYS[0]), config, seed=1, epoch=0) - waveform
    measured = 10 * torch.log10(waveform.square().mean() / noise.square().mean())
    assert measured.item() == pytest.approx(snr_db, abs=0.1)
    spectrum = torch.fft.rfft(noise).abs().square()
    assert (spectrum[: len(spectrum) // 2].mean() / spectrum[len(spectrum) // 2 :].mean()).item() == pytest.approx(
        1, abs=0.1
    )


def test_gain_stays_in_its_range() -> None:
    config = replace(AUGMENT, gain=GainConfig(1.0, low_db=-6, high_db=6))
    waveform = tone(440, 800)
    levels = [
        20 * np.log10(float(perturb_waveform(waveform, int(key), config, 1, 0).abs().max() / waveform.abs().max()))
        for key in KEYS[:300]
    ]
    assert -6.001 < min(levels) < -5
    assert 5 < max(levels) < 6.001


def test_the_share_of_changed_utterances_is_the_probability() -> None:
    waveform = tone(440, 400)
    for config in (
        replace(AUGMENT, noise=replace(AUGMENT.noise, probability=0.3)),
        replace(AUGMENT, gain=replace(AUGMENT.gain, probability=0.3)),
    ):
        changed = [not torch.equal(perturb_waveform(waveform, int(key), config, 1, 0), waveform) for key in KEYS[:1000]]
        assert abs(np.mean(changed) - 0.3) < 0.05


def test_no_hidden_generator_takes_part() -> None:
    config = replace(AUGMENT, noise=NoiseConfig(1.0, 10, 30), gain=GainConfig(1.0, -6, 6))
    torch.manual_seed(1)
    first = perturb_waveform(tone(440), int(KEYS[0]), config, seed=1, epoch=2)
    torch.manual_seed(2)
    assert torch.equal(perturb_waveform(tone(440), int(KEYS[0]), config, seed=1, epoch=2), first)
    for key, seed, epoch in ((KEYS[1], 1, 2), (KEYS[0], 2, 2), (KEYS[0], 1, 3)):
        assert not torch.equal(perturb_waveform(tone(440), int(key), config, seed, epoch), first)


def masked(frames: int, utterances: int, config: SpecAugmentConfig, epoch: int = 0) -> Tensor:
    """Which features of utterances of equal length are masked, shape (utterances, frames, 80)."""
    lengths = torch.full((utterances,), frames)
    ones = torch.ones(utterances, frames, 80)
    return spec_augment(ones, lengths, Draws(KEYS[:utterances], 1, epoch), config, hop_ms=10) == 0


def longest_run(marks: Tensor) -> int:
    """The longest run of marked positions, shape (positions,)."""
    return max((len(run) for run in "".join("x" if mark else " " for mark in marks).split()), default=0)


def test_masks_keep_to_their_widths() -> None:
    one_of_each = replace(MASKS, frequency_masks=1, time_masks=1)
    for frames, widest in ((600, 40), (250, 25), (50, 5)):
        bands, times = masked(frames, 400, one_of_each).all(dim=1), masked(frames, 400, one_of_each).all(dim=2)
        assert {int(count) for count in times.sum(dim=1)} == set(range(widest + 1))
        assert int(bands.sum(dim=1).max()) == 27
        assert all(longest_run(mask) == mask.sum() for mask in (*bands, *times))


def test_masks_reach_every_band_and_every_frame() -> None:
    marks = masked(100, 3000, MASKS)
    assert marks.all(dim=1).any(dim=0).all()
    assert marks.all(dim=2).any(dim=0).all()


def test_utterances_get_masks_of_their_own_and_others_in_each_epoch() -> None:
    marks = masked(200, 50, MASKS)
    assert len({row.numpy().tobytes() for row in marks}) == 50
    assert not torch.equal(marks, masked(200, 50, MASKS, epoch=1))
    assert torch.equal(marks, masked(200, 50, MASKS))


def test_masks_depend_neither_on_the_batch_nor_on_its_padding() -> None:
    lengths = torch.tensor([120, 300, 20, 77])
    features = torch.randn(4, 350, 80)
    together = spec_augment(features, lengths, Draws(KEYS[:4], 1, 5), MASKS, hop_ms=10)
    for number, length in enumerate(lengths.tolist()):
        chosen = slice(number, number + 1)
        alone = spec_augment(features[chosen, :length], lengths[chosen], Draws(KEYS[chosen], 1, 5), MASKS, 10)
        assert torch.equal(together[chosen, :length], alone)


def test_without_masks_features_stay_as_they_are() -> None:
    features = torch.randn(2, 100, 80)
    config = replace(MASKS, frequency_masks=0, time_masks=0)
    assert torch.equal(spec_augment(features, torch.tensor([100, 60]), Draws(KEYS[:2], 1, 0), config, 10), features)


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
def test_another_tempo_changes_the_length_and_leaves_the_pitch(factor: float) -> None:
    changed = change_tempo(tone(440), factor, RATE)
    assert len(changed) == perturbed_samples(RATE, factor)
    inner = changed[2000:-2000]
    peak = torch.fft.rfft(inner * torch.hann_window(len(inner)), 2 * RATE).abs().argmax() / 2
    assert peak.item() == pytest.approx(440, abs=1)
    assert 0.7 < (inner.square().mean() / tone(440).square().mean()).item() < 1.1
    assert torch.equal(change_tempo(tone(440), 1.0, RATE), tone(440))


def test_a_click_stays_where_the_tempo_puts_it() -> None:
    clicks = torch.zeros(2 * RATE)
    clicks[[4000, 24000]] = 1.0
    changed = change_tempo(clicks, 0.8, RATE).abs()
    for place in (5000, 30000):
        assert abs(changed[place - 2000 : place + 2000].argmax().item() - 2000) < 200


@settings(deadline=None, max_examples=30)
@given(samples=st.integers(1, 5000), factor=st.sampled_from([0.5, 0.9, 1.0, 1.1, 2.0]))
def test_a_changed_tempo_gives_exactly_the_foretold_samples(samples: int, factor: float) -> None:
    changed = change_tempo(torch.randn(samples), factor, RATE)
    assert len(changed) == perturbed_samples(samples, factor) and bool(changed.isfinite().all())


def test_tempos_are_drawn_apart_from_speeds() -> None:
    config = replace(AUGMENT, tempo_factors=[0.9, 1.0, 1.1])
    tempos = draw_tempo_factors(Draws(KEYS, 1, 0), config)
    for factor in config.tempo_factors:
        assert abs((tempos == factor).mean() - 1 / 3) < 0.04
    assert 0.5 < (tempos != draw_speed_factors(Draws(KEYS, 1, 0), config)).mean() < 0.8


def test_adaptive_masks_grow_in_number_and_width_with_the_utterance() -> None:
    adaptive = replace(
        MASKS, frequency_masks=0, time_masks=20, time_masks_per_second=4, time_width_ms=60000, time_share=0.04
    )
    # 100 frames are a second: four masks of at most four frames; of 3000 frames, twenty of at most 120.
    for frames, most, widest in ((100, 4, 4), (300, 12, 12), (3000, 20, 120)):
        marks = masked(frames, 100, adaptive).all(dim=2)
        assert most * widest / 4 < marks.sum(dim=1).double().mean() <= most * widest / 2
        assert max(int(mark.sum()) for mark in marks) > most * widest / 2
    assert not masked(24, 50, adaptive).any()


def test_adaptive_masks_depend_neither_on_the_batch_nor_on_its_padding() -> None:
    adaptive = replace(MASKS, time_masks=20, time_masks_per_second=4, time_width_ms=60000, time_share=0.04)
    lengths = torch.tensor([120, 700, 20, 77])
    features = torch.randn(4, 800, 80)
    together = spec_augment(features, lengths, Draws(KEYS[:4], 1, 5), adaptive, hop_ms=10)
    for number, length in enumerate(lengths.tolist()):
        chosen = slice(number, number + 1)
        alone = spec_augment(features[chosen, :length], lengths[chosen], Draws(KEYS[chosen], 1, 5), adaptive, 10)
        assert torch.equal(together[chosen, :length], alone)
