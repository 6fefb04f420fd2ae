"""Settings of the group `features`."""

from dataclasses import dataclass
from enum import Enum


class FeatureKind(Enum):
    logmel = "logmel"
    mfcc = "mfcc"
    spectrogram = "spectrogram"
    kaldi = "kaldi"


class FeatureSource(Enum):
    store = "store"
    online = "online"


class Normalization(Enum):
    utterance = "utterance"
    corpus = "corpus"
    none = "none"


@dataclass
class FeaturesConfig:
    kind: FeatureKind
    """What a frame holds."""
    source: FeatureSource
    """store reads what `asr extract` wrote; online computes on the device, as augmentation of waveforms requires."""
    normalization: Normalization
    """Mean 0 and variance 1 of each feature, over the utterance or over the training corpus. The statistics of a short
    utterance, such as a single spelled letter, depend more on its words than on its speaker: utterance helps where
    microphones and rooms differ and utterances are long."""
    window_ms: float
    """Length of the analysis window (ms)."""
    hop_ms: float
    """Time between frames (ms)."""
    mels: int | None
    """Bands of the mel filter bank; null for spectrogram, which has no bank."""
    coefficients: int | None
    """Cepstral coefficients; only for mfcc."""
    deltas: bool
    """Append first and second time differences."""
