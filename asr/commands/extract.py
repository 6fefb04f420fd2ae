"""`asr extract`: the features of every split into memory-mapped stores."""

import time

from asr.common.errors import ConfigError
from asr.common.processes import cores
from asr.common.tables import table
from asr.data.mixture import read_split
from asr.data.shards.reader import open_audio
from asr.data.splits import SPLITS
from asr.features.extraction import Extraction, stored_factors
from asr.features.perturbation import check_source
from asr.features.store import is_complete
from asr.settings.features import FeatureSource
from asr.settings.recipe import Recipe
from asr.settings.root import Config

HEADINGS = ("split", "utterances", "speeds", "hours", "MB", "seconds", "x real time")


def run(recipe: Recipe, config: Config) -> None:
    """Extracts what is not there yet, and prints the speed and the size of each split."""
    if config.features.source is FeatureSource.online:
        raise ConfigError(
            "features.source=online computes features during training: asr extract needs features.source=store."
        )
    check_source(config.features, config.augment)
    print(table(HEADINGS, [_extract_split(recipe, config, split) for split in SPLITS]))


def _extract_split(recipe: Recipe, config: Config, split: str) -> list[str]:
    utterances, factors = read_split(recipe, config, split), stored_factors(split, config.augment)
    audio = open_audio(config.shards, recipe.data(config))
    extraction = Extraction(utterances, config.features, config.data.sampling_rate, factors, audio)
    folder = extraction.folder(recipe.data(config))
    begun, complete = folder.exists(), is_complete(folder)
    start = time.perf_counter()
    store = extraction.run(folder, config.hardware.threads or cores())
    seconds = time.perf_counter() - start
    read = sum(utterance.duration / factor for utterance in utterances for factor in factors)
    speed = "resumed" if begun else f"{read / seconds:,.0f}"
    cost = ["-", "complete"] if complete else [f"{seconds:.1f}", speed]
    return [split, f"{len(store)}", f"{len(factors)}", f"{read / 3600:.2f}", f"{store.bytes / 1e6:.1f}", *cost]
