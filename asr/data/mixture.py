"""Training on several manifests, each read as often as its weight says."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.config import Config
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.utterance import Utterance
from asr.errors import DataError
from asr.recipe import Recipe

OWN = "train"
"""In `data.mixture`, the recipe's own training manifest."""


def training_manifests(recipe: Recipe, config: Config) -> dict[Path, float]:
    """The manifests of the training with their weights."""
    data = Path(config.paths.data).absolute()
    return {
        recipe.manifest(config, "train") if name == OWN else data / name: weight
        for name, weight in config.data.mixture.items()
    }


def read_split(recipe: Recipe, config: Config, split: str) -> list[Utterance]:
    """The utterances of a split, each once; those of train are of all manifests in `data.mixture`.

    Raises:
        DataError: A manifest cannot be read, or two have an id in common.
    """
    manifests = [*training_manifests(recipe, config)] if split == "train" else [recipe.manifest(config, split)]
    utterances: list[Utterance] = []
    homes: dict[str, Path] = {}
    for manifest in manifests:
        read = read_manifest(manifest)
        if len(manifests) > 1:
            for utterance in read:
                if utterance.id in homes:
                    raise DataError(
                        f"The id {utterance.id!r} is in {homes[utterance.id]} and in {manifest}: ids of manifests that "
                        "are mixed must differ."
                    )
                homes[utterance.id] = manifest
        utterances += read
    return utterances


def training_checksum(recipe: Recipe, config: Config) -> str:
    """The checksums of all training manifests."""
    return " ".join(manifest_checksum(manifest) for manifest in training_manifests(recipe, config))


def weights_by_id(recipe: Recipe, config: Config) -> dict[str, float]:
    """The weights of utterances that are not read just once in each epoch."""
    manifests = training_manifests(recipe, config)
    return {
        utterance.id: weight
        for manifest, weight in manifests.items()
        if weight != 1
        for utterance in read_manifest(manifest)
    }


def spread(
    utterances: Sequence[Utterance], weights: Mapping[str, float]
) -> tuple[Sequence[Utterance], npt.NDArray[np.float64] | None]:
    """Utterances as often as an epoch may read them, and how often it does.

    Args:
        weights: By id; 1 where there is none.

    Returns:
        The utterances, those of a weight above 1 several times, and the share of the epochs in which each is read,
        None for all.
    """
    if not weights:
        return utterances, None
    copies = [
        (utterance, min(1.0, weights.get(utterance.id, 1.0) - copy))
        for utterance in utterances
        for copy in range(math.ceil(weights.get(utterance.id, 1.0)))
    ]
    return [utterance for utterance, _ in copies], np.array([share for _, share in copies])
