"""What the feature stores of tests hold: utterances of noise, and the settings of their features."""

from pathlib import Path

import numpy as np
import soundfile

from asr.data.utterance import Utterance
from asr.settings.features import FeatureKind, FeaturesConfig, FeatureSource, Normalization

RATE = 8000
SPEEDS = [0.9, 1.0, 1.1]
LOGMEL = FeaturesConfig(
    kind=FeatureKind.logmel,
    source=FeatureSource.store,
    normalization=Normalization.utterance,
    window_ms=25,
    hop_ms=10,
    mels=40,
    coefficients=None,
    deltas=True,
)


def noise_utterances(folder: Path) -> list[Utterance]:
    """Twelve utterances of noise, two in each file."""
    draws = np.random.default_rng(1)
    found = []
    for number in range(6):
        path = folder / "corpus" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = 3000 + 700 * number
        soundfile.write(path, draws.normal(0, 0.1, 2 * samples).clip(-1, 1), RATE)
        for half in (0, 1):
            duration = samples / RATE
            found.append(Utterance(f"{number}-{half}", path, half * duration, duration, "YES", "speaker", RATE))
    return found
