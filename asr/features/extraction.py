"""Extraction: the features of a split, computed in parallel into a store that is named after what determines them."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asr.common.errors import DataError, UserError
from asr.common.files import file_lock
from asr.common.processes import LOADERS_START
from asr.common.progress import Progress
from asr.data.audio import FILES, Audio
from asr.data.utterance import Utterance
from asr.features.augment import change_speed, perturbed_samples
from asr.features.extractor import FeatureExtractor, frame_count, least_audio
from asr.features.store import FeatureStore, Part, plan_store
from asr.settings.augment import AugmentConfig
from asr.settings.features import FeaturesConfig

VERSION = 1
"""Incremented when the code computes other values from the same settings, so that older stores are not read."""


def stored_factors(split: str, augment: AugmentConfig) -> list[float]:
    """The speeds at which a split is stored: for train all that can be drawn, and always the original one."""
    return sorted({1.0, *augment.speed_factors}) if split == "train" else [1.0]


@dataclass(frozen=True)
class Extraction:
    """The features of some utterances, and what determines them."""

    utterances: Sequence[Utterance]
    config: FeaturesConfig
    sampling_rate: int
    """Of the corpus (Hz)."""
    speed_factors: Sequence[float]
    """The speeds at which each utterance is stored."""
    audio: Audio = FILES

    def folder(self, data: Path) -> Path:
        """The folder of the store in the recipe's data folder: its name is a hash of all that determines the features.

        Raises:
            DataError: An audio file is missing.
        """
        config = self.config
        settings = [VERSION, config.kind.value, config.window_ms, config.hop_ms, config.mels, config.coefficients]
        key = hashlib.sha256(json.dumps([*settings, config.deltas, self.sampling_rate, *self.speed_factors]).encode())
        for utterance, stamp in zip(self.utterances, self.audio.stamps(self.utterances, data), strict=True):
            key.update(json.dumps([utterance.id, utterance.offset, utterance.duration, *stamp]).encode())
        return data / "features" / key.hexdigest()[:16]

    def run(self, folder: Path, workers: int) -> FeatureStore:
        """Computes what the store in a folder does not hold yet, and opens it.

        Each of the workers, at least one, has one thread, so their number changes no bit.

        Raises:
            ConfigError: The features cannot be computed with these settings.
            DataError: Audio cannot be read, has another sampling rate or is too short, or the store cannot be written.
        """
        extractor = FeatureExtractor(self.config, self.sampling_rate)
        frames = np.array([self._frames(utterance) for utterance in self.utterances], dtype=np.int64)
        with file_lock(folder / ".lock"):
            ids = [utterance.id for utterance in self.utterances]
            parts = plan_store(folder, ids, self.speed_factors, frames, extractor.dim)
            missing = [part for part in parts if not part.complete]
            processes = min(max(workers, 1), len(missing))
            loader = DataLoader(
                _Parts(missing, self, extractor),
                batch_size=None,
                num_workers=processes,
                multiprocessing_context=LOADERS_START if processes else None,
            )
            done = len(ids) - sum(part.last - part.first for part in missing)
            with Progress("extracting features", len(ids), "utterances", done) as progress:
                for outcome in loader:
                    if isinstance(outcome, UserError):
                        raise outcome
                    progress.advance(outcome)
        return FeatureStore(folder)

    def _frames(self, utterance: Utterance) -> list[int]:
        """Frames of an utterance at each speed."""
        if utterance.sampling_rate != self.sampling_rate:
            raise DataError(
                f"Utterance {utterance.id} has {utterance.sampling_rate} Hz, data.sampling_rate is "
                f"{self.sampling_rate} Hz: convert the corpus or set the rate that it has."
            )
        frames = [
            frame_count(self.config, self.sampling_rate, perturbed_samples(utterance.samples, factor))
            for factor in self.speed_factors
        ]
        if min(frames) == 0:
            raise DataError(
                f"Utterance {utterance.id} lasts {utterance.duration} s, at its highest speed less than "
                f"{least_audio(self.config)}: leave it out of the manifest."
            )
        return frames


class _Parts(Dataset[int | UserError]):
    """Writes a part where a dataset would read an item; a mistake of the user comes back whole, as a value."""

    def __init__(self, parts: Sequence[Part], extraction: Extraction, extractor: FeatureExtractor) -> None:
        self.parts, self.extraction, self.extractor = parts, extraction, extractor

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, number: int) -> int | UserError:
        part = self.parts[number]
        try:
            part.write(self._features(self.extraction.utterances[part.first : part.last]))
        except UserError as error:
            return error
        return part.last - part.first

    @torch.inference_mode()
    def _features(self, utterances: Sequence[Utterance]) -> Iterator[Tensor]:
        for utterance in utterances:
            waveform = self.extraction.audio.read(utterance)
            for factor in self.extraction.speed_factors:
                copy = change_speed(waveform, factor)
                features, _ = self.extractor(copy[None], torch.tensor([len(copy)]))
                yield features[0]
