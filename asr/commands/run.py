"""`asr run`: prepares, checks, extracts, trains and evaluates, except what is done."""

from asr.commands import check, evaluate, extract, prepare, train
from asr.settings.features import FeatureSource
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import find_run_folder
from asr.training.session import restarts


def run(recipe: Recipe, config: Config) -> float:
    """Runs all stages; the results of an earlier call are kept.

    Returns:
        The best error rate on the dev split.
    """
    ranks = join_ranks(resolve_hardware(config.hardware).device, config.cluster.join_minutes)
    ranks.on_rank_0(lambda: make_ready(recipe, config))
    best = train.run(recipe, config)
    evaluate.run_once(recipe, config)
    return best


def make_ready(recipe: Recipe, config: Config) -> None:
    """Prepares, checks and extracts, except what is done.

    The corpus of a run under way was checked when it began: the run resumes, as with `asr train`, without files that
    have become unreadable.
    """
    prepare.run(recipe, config)
    if _is_under_way(recipe, simplify(config)):
        return
    check.run_once(recipe, config)
    if config.features.source is FeatureSource.store:
        extract.run(recipe, config)


def _is_under_way(recipe: Recipe, config: Config) -> bool:
    folder = find_run_folder(recipe, config, resolve_hardware(config.hardware).precision)
    return not restarts(config) and folder.is_under_way
