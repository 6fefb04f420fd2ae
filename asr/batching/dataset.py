"""The input of the model for an utterance: stored features, or a waveform whose features are computed on the device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr.common.seeds import Draws, Keys, key_of, uniform
from asr.data.audio import FILES, Audio
from asr.data.utterance import Field, Utterance, id_keys, seconds_of
from asr.features.augment import change_speed, change_tempo, draw_speed_factors, draw_tempo_factors
from asr.features.perturbation import Perturbation
from asr.features.store import FeatureStore
from asr.settings.augment import AugmentConfig


class Dataset:
    """Reads utterances: as they are or, for training, with augmentation (speed, tempo, room, noise, level).

    Args:
        utterances: What can be read, by number.
        store: Where the features are; None reads waveforms.
        augment: How training utterances are augmented; None for dev and test.
        seed: Seed of the augmentation.
        shares: The share of the epochs in which each utterance is read, shape (utterances,); None reads all in each.
            With shares, an utterance may be listed several times, each with its own augmentation.
        audio: Where waveforms are read from.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        store: FeatureStore | None,
        augment: AugmentConfig | None,
        seed: int,
        shares: npt.NDArray[np.float64] | None = None,
        audio: Audio = FILES,
    ) -> None:
        self.utterances, self.store, self.augment, self.seed = utterances, store, augment, seed
        self.audio = audio
        self.ids = Field(utterances, "id")
        self.keys = id_keys(utterances) if shares is None else _numbered(id_keys(utterances), self.ids)
        self._shares = shares
        self._perturb = None if augment is None or store is not None else Perturbation(augment, seed)
        self._durations = seconds_of(utterances)

    def __call__(self, number: int, epoch: int) -> Tensor:
        """Features (frames, dim) or a waveform (samples,), a pure function of the seed, the epoch and the utterance.

        Raises:
            DataError: The audio cannot be read.
        """
        utterance, draws = self.utterances[number], Draws(self.keys[number : number + 1], self.seed, epoch)
        factor = 1.0 if self.augment is None else float(draw_speed_factors(draws, self.augment)[0])
        if self.store is not None:
            return self.store.features(utterance.id, factor)
        waveform = change_speed(self.audio.read(utterance), factor)
        if self.augment is None or self._perturb is None:
            return waveform
        rate = utterance.sampling_rate
        tempo = float(draw_tempo_factors(draws, self.augment)[0])
        return self._perturb(change_tempo(waveform, tempo, rate), rate, int(draws.keys[0]), epoch)

    def drawn(self, number: int, epoch: int) -> list[str]:
        """The augmentations of the waveform of an utterance in an epoch, by name, without speed and tempo."""
        return [] if self._perturb is None else self._perturb.drawn(int(self.keys[number]), epoch)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the arrays: the utterances may have them in memory that processes share.
        return type(self), (self.utterances, self.store, self.augment, self.seed, self._shares, self.audio)

    def prefetch(self, numbers: npt.NDArray[np.int64]) -> None:
        """Fetches remote audio of utterances that are read next."""
        if self.store is None and self.audio.remote:
            self.audio.prefetch([self.utterances[number] for number in numbers.tolist()])

    def in_epoch(self, epoch: int) -> npt.NDArray[np.int64] | None:
        """The numbers of the utterances that an epoch reads, None for all.

        Over any consecutive epochs an utterance is read as often as its share says, give or take one.
        """
        if self._shares is None:
            return None
        begin = uniform(self.keys, "mixture", self.seed)
        return np.flatnonzero(np.floor(begin + (epoch + 1) * self._shares) > np.floor(begin + epoch * self._shares))

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Durations in an epoch, after speed and tempo perturbation (s), shape (utterances,)."""
        if self.augment is None:
            return self._durations
        draws = Draws(self.keys, self.seed, epoch)
        seconds = self._durations / draw_speed_factors(draws, self.augment)
        return seconds / draw_tempo_factors(draws, self.augment)


def _numbered(keys: Keys, ids: Sequence[str]) -> Keys:
    """Gives utterances that are listed several times different keys."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    copies = np.arange(len(keys)) - np.maximum.accumulate(np.where(fresh, np.arange(len(keys)), 0))
    numbered = keys.copy()
    for number, copy in zip(order[copies > 0].tolist(), copies[copies > 0].tolist(), strict=True):
        numbered[number] = key_of(f"{ids[number]}\n{copy}")
    return numbered
