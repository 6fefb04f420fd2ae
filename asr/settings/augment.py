"""Settings of the group `augment`."""

from dataclasses import dataclass


@dataclass
class SpecAugmentConfig:
    frequency_masks: int
    """Masks over features in each utterance."""
    frequency_width: float
    """Widest mask, as a share of the features."""
    time_masks: int
    """Most masks over time in each utterance."""
    time_masks_per_second: float | None
    """Masks over time per second, up to time_masks; null gives every utterance time_masks, however long it is."""
    time_width_ms: float
    """Widest mask over time (ms)."""
    time_share: float
    """Most of an utterance that one time mask may cover, so that short utterances keep their words."""


@dataclass
class NoiseConfig:
    probability: float
    """Share of the utterances that get white noise; 0 turns it off."""
    snr_low_db: float
    """Lowest drawn signal-to-noise ratio (dB)."""
    snr_high_db: float
    """Highest drawn signal-to-noise ratio (dB)."""


@dataclass
class GainConfig:
    probability: float
    """Share of the utterances whose level changes; 0 turns it off."""
    low_db: float
    """Lowest drawn gain (dB)."""
    high_db: float
    """Highest drawn gain (dB)."""


@dataclass
class ReverbConfig:
    probability: float
    """Share of the utterances that get the reverberation of a room; 0 turns it off."""
    folders: list[str]
    """Folders of recorded impulse responses; without any, rooms are simulated."""
    rt60_low_seconds: float
    """Shortest reverberation time of simulated rooms (s)."""
    rt60_high_seconds: float
    """Longest reverberation time of simulated rooms (s)."""


@dataclass
class BackgroundConfig:
    probability: float
    """Share of the utterances that get a stretch of a recording as noise; 0 turns it off."""
    folders: list[str]
    """Folders of noise or music, such as MUSAN's noise and music, searched with all their subfolders."""
    snr_low_db: float
    """Lowest drawn signal-to-noise ratio (dB)."""
    snr_high_db: float
    """Highest drawn signal-to-noise ratio (dB)."""


@dataclass
class BabbleConfig:
    probability: float
    """Share of the utterances that get other voices in the background; 0 turns it off."""
    folders: list[str]
    """Folders of recorded speech, such as MUSAN's speech."""
    voices_low: int
    """Fewest voices at a time."""
    voices_high: int
    """Most voices at a time."""
    snr_low_db: float
    """Lowest drawn signal-to-noise ratio, all voices together (dB)."""
    snr_high_db: float
    """Highest drawn signal-to-noise ratio (dB)."""


@dataclass
class TelephoneConfig:
    probability: float
    """Share of the utterances that are reduced to what telephones carry: 300 to 3400 Hz, in mu-law; 0 turns it off."""


@dataclass
class AugmentConfig:
    """Applied to training utterances only; each draw is a function of (seed, epoch, utterance id)."""

    speed_factors: list[float]
    """Speeds to draw from (pitch changes too, as with a tape); [1.0] turns it off."""
    tempo_factors: list[float]
    """Tempos to draw from, at the same pitch; [1.0] turns it off."""
    spec_augment: SpecAugmentConfig
    reverb: ReverbConfig
    background: BackgroundConfig
    babble: BabbleConfig
    noise: NoiseConfig
    telephone: TelephoneConfig
    gain: GainConfig
