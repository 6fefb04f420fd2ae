"""`asr plan`: what a training will take, before it starts, for several models side by side."""

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr.commands.flags import FlagParser
from asr.common.errors import ConfigError
from asr.settings.recipe import Recipe, find_recipe

if TYPE_CHECKING:
    from asr.planning.advice import Corpus
    from asr.planning.prediction import Prediction
    from asr.scoring.results import Results
    from asr.settings.root import Config

log = logging.getLogger(__name__)

BUSY = 0.3
"""Load for each core from which on other programs are worth a word."""

HELP = """Usage: asr plan RECIPE [-m] [key=value ...] [key=value,value ...]

Tries some steps of a training, half a minute for a small model, and predicts from them the time of an epoch and of the
whole, the peak memory at the planned batches and the batches that would fit. Every combination of the values that stand
in lists is a line of its table; sentences under it say which to begin with. Nothing but extracted features is kept.
The recipe must be prepared: `asr prepare RECIPE`. All keys of a training are taken: docs/configuration.md.

Keys of its own (docs/how-to/plan.md):
  plan.minutes=30     what fits in so much time
  plan.memory_gb=8    what fits in so much memory; else all that the device has

Examples:
  asr plan an4
  asr plan an4 -m model=lstm,gru,ligru plan.minutes=30
  asr plan an4 model.hidden=256,512,1024 batching.global_seconds=120"""


def main(arguments: Sequence[str]) -> None:
    """Predicts for the recipe and the settings that the arguments name.

    Raises:
        ConfigError: The arguments or the settings cannot be used.
        DataError: The corpus is not prepared, or a training would refuse it.
        RunError: A trial failed.
    """
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    recipe, overrides = _parse(arguments)
    _plan(recipe, overrides)


def _parse(arguments: Sequence[str]) -> tuple[Recipe, list[str]]:
    parser = FlagParser("asr plan", add_help=False)
    parser.add_argument("what", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    options = parser.parse_intermixed_args(arguments)
    if not options.what or "=" in options.what[0]:
        raise ConfigError("asr plan needs a RECIPE: a folder, or the name of a shipped one; see asr plan --help.")
    return find_recipe(options.what[0]), options.what[1:]


def _plan(recipe: Recipe, overrides: Sequence[str]) -> None:
    from asr.checks.corpus import refuse_mistakes
    from asr.features.perturbation import check_source
    from asr.planning.advice import Budget, Plan, advise, plan_table
    from asr.planning.prediction import calibrate
    from asr.settings.compose import compose, sweep
    from asr.training.debugging import simplify

    points = sweep(recipe, overrides)
    configs = [simplify(compose(recipe, point)) for point in points]
    for config in configs:
        check_source(config.features, config.augment)
        refuse_mistakes(recipe, config)
    labels, plans = _labels(points, configs), []
    _warn_if_busy()
    for label, config in zip(labels, configs, strict=True):
        log.info("Trying some steps of %s.", label)
        prediction = calibrate(recipe, config)
        plans.append(Plan(label, prediction, _stored(recipe, prediction)))
    asked, trial = configs[0].plan, plans[0].prediction
    budget = Budget(
        None if asked.minutes is None else 60 * asked.minutes,
        trial.device_bytes if asked.memory_gb is None else 1e9 * asked.memory_gb,
    )
    print(plan_table(plans, budget))
    print(f"\nTried on {trial.hardware}, in {trial.precision}, one process of {trial.threads} threads.")
    print(*advise(_corpus(recipe, configs[0]), plans, budget), sep="\n")


def _labels(points: Sequence[Sequence[str]], configs: "Sequence[Config]") -> list[str]:
    """What sets each of the models apart: the settings that not all of them have."""
    common = set(points[0]).intersection(*points[1:]) if len(points) > 1 else set(points[0])
    labels = [
        ", ".join(_short(setting) for setting in point if setting not in common) or config.name
        for point, config in zip(points, configs, strict=True)
    ]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"Two of the planned settings are the same: {', '.join(labels)}.")
    return labels


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return value if key in ("model", "name") else override


def _corpus(recipe: Recipe, config: "Config") -> "Corpus":
    import numpy as np

    from asr.data.manifest import read_manifest
    from asr.data.sequences import seconds_of
    from asr.planning.advice import Corpus

    seconds = seconds_of(read_manifest(recipe.manifest(config, "train")))
    hours = float(seconds.sum()) / 3600
    return Corpus(recipe.name, len(seconds), hours, float(np.median(seconds)), float(seconds.max()))


def _stored(recipe: Recipe, prediction: "Prediction") -> "Results | None":
    """The published results on test of the run with this name that is nearest in size; of several seeds the lowest."""
    from asr.scoring.results import read_results

    found = map(read_results, sorted((recipe.folder / "results").glob("*/test")))
    return min(
        (results for results in found if results.run.rpartition("-")[0] == prediction.name),
        key=lambda results: (abs(results.parameters - prediction.parameters), results.seed),
        default=None,
    )


def _warn_if_busy() -> None:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > BUSY * cores:
        log.warning("Other programs are at work (a load of %.1f on %d cores): the times will be too long.", load, cores)
