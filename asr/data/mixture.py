"""Training on several manifests, each read as often as its weight says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError
from asr.common.seeds import Keys
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.utterance import LazyUtterances, Picked, Utterance, id_keys, joined
from asr.settings.recipe import Recipe
from asr.settings.root import Config

OWN = "train"
"""In `data.mixture`, the recipe's own training manifest."""


def training_manifests(recipe: Recipe, config: Config) -> dict[Path, float]:
    """The manifests of a training with their weights."""
    data = Path(config.paths.data).absolute()
    return {
        recipe.manifest(config, "train") if name == OWN else data / name: weight
        for name, weight in config.data.mixture.items()
    }


def read_split(recipe: Recipe, config: Config, split: str) -> Sequence[Utterance]:
    """The utterances of a split, each once; those of train come from all manifests in `data.mixture`.

    Raises:
        DataError: A manifest cannot be read, or two have an id in common.
    """
    manifests = [*training_manifests(recipe, config)] if split == "train" else [recipe.manifest(config, split)]
    parts = [read_manifest(manifest) for manifest in manifests]
    for place, part in enumerate(parts):
        for before in range(place):
            shared = np.isin(id_keys(part), id_keys(parts[before]))
            if shared.any():
                name = part[int(shared.argmax())].id
                raise DataError(
                    f"The id {name!r} is in {manifests[before]} and in {manifests[place]}: ids must differ among the "
                    "manifests of data.mixture."
                )
    return joined(parts)


def training_checksum(recipe: Recipe, config: Config) -> str:
    """The checksums of all training manifests."""
    return " ".join(manifest_checksum(manifest) for manifest in training_manifests(recipe, config))


def weights_by_key(recipe: Recipe, config: Config) -> list[tuple[Keys, float]]:
    """The keys of the utterances of each manifest that is not read exactly once per epoch, with its weight."""
    manifests = training_manifests(recipe, config)
    return [(id_keys(read_manifest(manifest)), weight) for manifest, weight in manifests.items() if weight != 1]


def spread(
    utterances: Sequence[Utterance], weights: Sequence[tuple[Keys, float]]
) -> tuple[Sequence[Utterance], npt.NDArray[np.float64] | None]:
    """Repeats utterances as often as an epoch may read them. Weights are given by the keys of ids; that of others is 1.

    Returns:
        The utterances, those of a weight above 1 several times, and the share of epochs in which each is read; None
        where all epochs read all.
    """
    if not weights:
        return utterances, None
    keys = id_keys(utterances)
    weight_of = np.ones(len(keys))
    for some, weight in weights:
        weight_of[np.isin(keys, some)] = weight
    counts = np.ceil(weight_of).astype(np.int64)
    numbers = np.repeat(np.arange(len(keys)), counts)
    copies = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)
    shares = np.minimum(1.0, weight_of[numbers] - copies)
    picked = Picked(utterances, numbers)
    return picked if isinstance(utterances, LazyUtterances) else [*picked], shares
