"""Resampling gives what torchaudio gives, block by block, and takes little memory whatever the rates."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample as by_torchaudio
from torchaudio.transforms import Resample

from asr.common.errors import DataError
from asr.data import resampling
from asr.data.conversion import convert
from asr.data.recording import open_recording
from asr.data.resampling import has_few_phases, resample, resampled
from asr.data.splits import whole_file
from asr.features.noise_files import NoiseFiles


def noise(samples: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (np.random.default_rng(0).standard_normal(samples) * 0.1).astype(np.float32)


@pytest.mark.parametrize("old", [8000, 11025, 22050, 24000, 32000, 44100, 48000, 96000])
def test_the_usual_rates_have_the_bits_of_torchaudio(old: int) -> None:
    sound = noise(3 * old // 10 + 1)
    whole = Resample(old, 16000)(torch.from_numpy(sound))
    assert torch.equal(resampled(torch.from_numpy(sound), old, 16000), whole)
    blocks = np.concatenate([*resample(iter(np.array_split(sound, 7)), old, 16000, "a.wav")])
    assert np.abs(blocks - whole.numpy()).max() < 1e-6


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (8000, 16000), (48000, 8000), (16000, 11025)])
@pytest.mark.parametrize("width", [6, 64])
def test_the_formula_is_the_filter_of_torchaudio(
    old: int, new: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = torch.from_numpy(noise(2 * old // 10 + 3))
    expected = by_torchaudio(sound, old, new, lowpass_filter_width=width)
    monkeypatch.setattr(resampling, "LARGEST_KERNEL", 0)
    found = resampled(sound, old, new, width)
    assert len(found) == len(expected)
    assert torch.allclose(found, expected, atol=1e-5)
    blocks = [*resample(iter(np.array_split(sound.numpy(), 5)), old, new, "a.wav")]
    assert torch.allclose(torch.from_numpy(np.concatenate(blocks)), by_torchaudio(sound, old, new), atol=1e-5)


@pytest.mark.parametrize("old", [44101, 384001, 15999, 192001, 2_000_000_011])
def test_odd_rates_take_little_memory(old: int, tmp_path: Path) -> None:
    assert not has_few_phases(old, 16000)
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(min(old, 400_000)), old)
    tracemalloc.start()
    try:
        with open_recording(path, 16000) as recording:
            samples = sum(map(len, recording.blocks))
        NoiseFiles([str(tmp_path)], "key").whole(0.0, 16000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert samples == -(-min(old, 400_000) * 16000 // old)
    assert peak < 300e6


def test_a_tone_keeps_its_pitch_and_level_at_odd_rates() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(44101) / 44101).astype(np.float32)
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    found = resampled(torch.from_numpy(tone), 44101, 16000).numpy()
    assert np.abs(found - expected)[100:-100].max() < 1e-2


@pytest.mark.parametrize("rate", [1, 999])
def test_a_rate_that_makes_a_small_file_huge_is_refused(rate: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(2000), rate)
    with pytest.raises(DataError, match="its sampling rate is"), open_recording(path, 16000) as recording:
        sum(map(len, recording.blocks))
    with pytest.raises(DataError, match="its sampling rate is"):
        convert({"train": [whole_file(path, "A", "")]}, tmp_path / "out", 16000)
    with pytest.raises(DataError, match="has a sampling rate of"):
        NoiseFiles([str(tmp_path)], "augment.noise.folders")
