"""`asr extract`: the features of every split into memory-mapped stores."""

import time

from asr.common.errors import ConfigError
from asr.common.processes import cores
from asr.data.mixture import read_split
from asr.data.shards.reader import open_audio
from asr.data.splits import SPLITS
from asr.features.extraction import extract, store_folder, stored_factors
from asr.features.perturbation import check_source
from asr.features.store import is_complete
from asr.settings.features import FeatureSource
from asr.settings.recipe import Recipe
from asr.settings.root import Config


def run(recipe: Recipe, config: Config) -> None:
    """Extracts what is not there yet, and prints the speed and the size of each split."""
    if config.features.source is FeatureSource.online:
        raise ConfigError("features.source=online computes features in training: extract works with the store only.")
    check_source(config.features, config.augment)
    print(f"{'split':<6} {'utterances':>10} {'speeds':>6} {'hours':>7} {'MB':>9} {'seconds':>8} {'x real time':>11}")
    for split in SPLITS:
        print(_extract_split(recipe, config, split))


def _extract_split(recipe: Recipe, config: Config, split: str) -> str:
    utterances = read_split(recipe, config, split)
    rate, factors = config.data.sampling_rate, stored_factors(split, config.augment)
    audio = open_audio(config.shards, recipe.data(config))
    folder = store_folder(recipe.data(config), utterances, config.features, rate, factors, audio)
    begun, complete = folder.exists(), is_complete(folder)
    start = time.perf_counter()
    store = extract(utterances, config.features, rate, factors, folder, config.hardware.threads or cores(), audio)
    seconds = time.perf_counter() - start
    fed = sum(utterance.duration / factor for utterance in utterances for factor in factors)
    speed = f"{seconds:>8.1f} {'taken up' if begun else format(fed / seconds, ',.0f'):>11}"
    return (
        f"{split:<6} {len(store):>10} {len(factors):>6} {fed / 3600:>7.2f} {store.bytes / 1e6:>9.1f} "
        f"{'there already' if complete else speed}"
    )
