"""What the model is fed of an utterance: features from the store, or a waveform whose features the device computes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr.data.audio import read_waveform
from asr.data.draws import keys_of
from asr.data.store import FeatureStore
from asr.data.utterance import Utterance
from asr.features.augment import change_speed, draw_speed_factors, perturb_waveform
from asr.features.config import AugmentConfig


class Inputs:
    """Reads utterances, as they are or, for training, at a drawn speed, noise and level.

    Args:
        utterances: What can be read, by number.
        store: Where the features are; None reads waveforms.
        augment: How training utterances are changed; None for dev and test.
        seed: Seed of the draws.
    """

    def __init__(
        self, utterances: Sequence[Utterance], store: FeatureStore | None, augment: AugmentConfig | None, seed: int
    ) -> None:
        self.utterances, self.store, self.augment, self.seed = utterances, store, augment, seed
        self.keys = keys_of([utterance.id for utterance in utterances])
        self._durations = np.array([utterance.duration for utterance in utterances])

    def __call__(self, number: int, epoch: int) -> Tensor:
        """Features (frames, dim) or a waveform (samples,), a pure function of the seed, the epoch and the utterance.

        Raises:
            DataError: The audio cannot be read.
        """
        utterance, keys = self.utterances[number], self.keys[number : number + 1]
        factor = 1.0 if self.augment is None else float(draw_speed_factors(keys, self.augment, self.seed, epoch)[0])
        if self.store is not None:
            return self.store.features(utterance.id, factor)
        waveform = change_speed(read_waveform(utterance), factor)
        return (
            waveform
            if self.augment is None
            else perturb_waveform(waveform, int(keys[0]), self.augment, self.seed, epoch)
        )

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Durations as they are fed in an epoch (s), shape (utterances,)."""
        if self.augment is None:
            return self._durations
        return self._durations / draw_speed_factors(self.keys, self.augment, self.seed, epoch)
