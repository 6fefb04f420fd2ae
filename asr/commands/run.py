"""`asr run`: prepares, checks, extracts, trains and evaluates, as far as it is not yet done."""

from asr.commands import check, evaluate, extract, prepare, train
from asr.config import Config
from asr.features.config import FeatureSource
from asr.recipe import Recipe
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware


def run(recipe: Recipe, config: Config) -> float:
    """Does all stages; what is there from an earlier call is kept.

    Returns:
        The best WER on the dev split.
    """
    ranks = join_ranks(resolve_hardware(config.hardware).device, config.cluster.join_minutes)
    ranks.only_first(lambda: make_ready(recipe, config))
    best = train.run(recipe, config)
    evaluate.run(recipe, config)
    return best


def make_ready(recipe: Recipe, config: Config) -> None:
    """Prepares, checks and extracts, as far as it is not yet done."""
    prepare.run(recipe, config)
    check.run(recipe, config)
    if config.features.source is FeatureSource.store:
        extract.run(recipe, config)
