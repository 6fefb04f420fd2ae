"""Augmentation of training waveforms: rooms, noise, babble, telephones, gain.

Each draw is a pure function of (seed, epoch, utterance id).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import mu_law_decoding, mu_law_encoding

from asr.common.errors import ConfigError
from asr.common.seeds import Draws, derive_seed
from asr.features.noise_files import NoiseFiles
from asr.features.rooms import reverberate, simulate_room
from asr.settings.augment import AugmentConfig
from asr.settings.features import FeaturesConfig, FeatureSource

TELEPHONE_HZ = (300.0, 3400.0)
"""Edges of the telephone band (ITU-T G.712), and the levels of its samples (G.711)."""
TELEPHONE_LEVELS = 256
TELEPHONE_EDGE = 0.15
"""Width of the slopes beside the band, as a fraction of its edge."""

STEPS = ("reverb", "background", "babble", "noise", "telephone", "gain")
"""In the order of the signal path: room, noise, telephone, level."""
OF_FOLDERS = ("background", "babble")
"""Augmentation that needs recordings; rooms can be simulated."""


class Perturbation:
    """Changes waveforms: a room, noise from recordings, voices of others, white noise, a telephone, another level.

    Raises:
        ConfigError: A folder of recordings is missing or empty.
        DataError: A recording cannot be read.
    """

    def __init__(self, config: AugmentConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.noise_files = {
            name: NoiseFiles(folders, f"augment.{name}.folders") for name, folders in active_folders(config).items()
        }

    def __call__(self, waveform: Tensor, sampling_rate: int, key: int, epoch: int) -> Tensor:
        """Changes the waveform of an utterance, shape (samples,), on the CPU.

        Samples may leave [-1, 1], nothing is clipped. The key is that of its id, as `asr.common.seeds.key_of` makes it.
        """
        config, draw = self.config, _Draw(key, self.seed, epoch)
        drawn = self.drawn(key, epoch)
        if "reverb" in drawn:
            waveform = reverberate(waveform, self._room(draw, sampling_rate))
        if "background" in drawn:
            waveform = self._with_background(waveform, sampling_rate, draw)
        if "babble" in drawn:
            waveform = self._with_babble(waveform, sampling_rate, draw)
        if "noise" in drawn:
            generator = torch.Generator().manual_seed(derive_seed("white noise", self.seed, epoch, key))
            white = torch.randn(waveform.shape, generator=generator)
            snr_db = draw.between(config.noise.snr_low_db, config.noise.snr_high_db, "snr")
            waveform = add_noise(waveform, white, snr_db)
        if "telephone" in drawn:
            waveform = telephone(waveform, sampling_rate)
        if "gain" in drawn:
            gain_db = draw.between(config.gain.low_db, config.gain.high_db, "level")
            waveform = waveform * 10 ** (gain_db / 20)
        return waveform

    def drawn(self, key: int, epoch: int) -> list[str]:
        """The augmentations of an utterance in an epoch, in their order."""
        draw = _Draw(key, self.seed, epoch)
        return [name for name in STEPS if draw(name) < getattr(self.config, name).probability]

    def _room(self, draw: "_Draw", sampling_rate: int) -> Tensor:
        reverb = self.config.reverb
        if "reverb" in self.noise_files:
            return self.noise_files["reverb"].whole(draw("room"), sampling_rate)
        rt60 = draw.between(reverb.rt60_low_seconds, reverb.rt60_high_seconds, "rt60")
        return simulate_room(lambda name: draw(f"room {name}"), rt60, sampling_rate)

    def _with_background(self, waveform: Tensor, sampling_rate: int, draw: "_Draw") -> Tensor:
        background = self.config.background
        which, start = draw("background file"), draw("background start")
        sound = self.noise_files["background"].segment(which, start, len(waveform), sampling_rate)
        snr_db = draw.between(background.snr_low_db, background.snr_high_db, "background snr")
        return add_noise(waveform, unit_power(sound), snr_db)

    def _with_babble(self, waveform: Tensor, sampling_rate: int, draw: "_Draw") -> Tensor:
        babble = self.config.babble
        voices = int(draw.between(babble.voices_low, babble.voices_high + 1, "voices"))
        sound = torch.zeros_like(waveform)
        for voice in range(voices):
            which, start = draw(f"voice {voice}"), draw(f"voice start {voice}")
            sound += unit_power(self.noise_files["babble"].segment(which, start, len(waveform), sampling_rate))
        return add_noise(waveform, unit_power(sound), draw.between(babble.snr_low_db, babble.snr_high_db, "babble snr"))


def active_folders(config: AugmentConfig) -> dict[str, Sequence[str]]:
    """The folders of recordings that each augmentation reads, by its name.

    Raises:
        ConfigError: One needs folders and has none.
    """
    folders: dict[str, Sequence[str]] = {}
    for name in (*OF_FOLDERS, "reverb"):
        part = getattr(config, name)
        if part.probability > 0 and part.folders:
            folders[name] = part.folders
        elif part.probability > 0 and name in OF_FOLDERS:
            raise ConfigError(
                f"augment.{name}.probability={part.probability} needs recordings: give augment.{name}.folders, as in "
                f"augment.{name}.folders=[/data/musan/{'speech' if name == 'babble' else 'noise'}]."
            )
    return folders


def check_source(features: FeaturesConfig, augment: AugmentConfig) -> None:
    """Refuses augmentation of waveforms where features are stored, and augmentation that lacks its recordings.

    Raises:
        ConfigError: There is one; names the key.
    """
    active_folders(augment)
    keys = {f"augment.{name}.probability": getattr(augment, name).probability for name in STEPS}
    changing = {key: value for key, value in keys.items() if value > 0}
    if set(augment.tempo_factors) != {1.0}:
        changing["augment.tempo_factors"] = augment.tempo_factors
    if features.source is FeatureSource.store and changing:
        key, value = next(iter(changing.items()))
        raise ConfigError(
            f"{key}={value} changes the waveform, but stored features do not contain it: set features.source=online or "
            f"{key}={'[1.0]' if key.endswith('factors') else 0}."
        )


def add_noise(waveform: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Adds noise of power 1 at a signal-to-noise ratio (dB); both have shape (samples,)."""
    mixed: Tensor = waveform + noise * waveform.square().mean().sqrt() * 10 ** (-snr_db / 20)
    return mixed


def unit_power(sound: Tensor) -> Tensor:
    """A sound scaled to a mean square of 1; silence stays silence."""
    power = sound.square().mean()
    return sound / power.sqrt() if power > 0 else sound


def telephone(waveform: Tensor, sampling_rate: int) -> Tensor:
    """A waveform of shape (samples,) as through a telephone: limited to its band, in mu-law, at its rate and level."""
    spectrum = torch.fft.rfft(waveform)
    frequency = torch.fft.rfftfreq(len(waveform), 1 / sampling_rate)
    low, high = TELEPHONE_HZ
    rise = (frequency / low - 1) / TELEPHONE_EDGE + 1
    fall = (1 - frequency / high) / TELEPHONE_EDGE + 1
    band = torch.fft.irfft(spectrum * rise.clamp(0, 1) * fall.clamp(0, 1), len(waveform))
    peak = band.abs().max().clamp_min(1.0)
    decoded: Tensor = mu_law_decoding(mu_law_encoding(band / peak, TELEPHONE_LEVELS), TELEPHONE_LEVELS)
    levels: Tensor = decoded * peak
    return levels


class _Draw:
    """The draws of one utterance in one epoch, by name."""

    def __init__(self, key: int, seed: int, epoch: int) -> None:
        self.draws = Draws(np.array([key], dtype=np.uint64), seed, epoch)

    def __call__(self, name: str) -> float:
        return float(self.draws(name)[0])

    def between(self, low: float, high: float, name: str) -> float:
        return low + (high - low) * self(name)
