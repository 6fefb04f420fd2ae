"""`asr plan`: what a training will take, before it starts, for several models side by side."""

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr.commands import remedies
from asr.commands.flags import FlagParser
from asr.commands.subjects import given_recipe, is_subject
from asr.common.errors import ConfigError
from asr.settings.recipe import Recipe

if TYPE_CHECKING:
    from asr.settings.root import Config

log = logging.getLogger(__name__)

BUSY = 0.3
"""Load per core from which other programs disturb the times."""

HELP = """Usage: asr plan RECIPE|RUN [-m] [key=value ...] [key=value,value ...]

Takes some steps of a training, half a minute for a small model, and predicts from them the time of an epoch and of the
whole training, the peak memory with the planned batches, and the batches that would fit. Each combination of listed
values is a line of the table; sentences under it recommend where to begin. Only extracted features are kept.
The recipe must be prepared: `asr prepare RECIPE`. A RUN stands for its recipe and its settings. All keys of a training
are taken: docs/configuration.md.

Keys of its own (docs/how-to/plan.md):
  plan.minutes=30     what fits in this time
  plan.memory_gb=8    what fits in this memory; by default that of the device

Examples:
  asr plan an4
  asr plan an4 -m model=lstm,gru,ligru plan.minutes=30
  asr plan an4 model.hidden=256,512,1024 batching.global_seconds=120"""


def main(arguments: Sequence[str]) -> None:
    """Predicts for the recipe and the settings that the arguments name."""
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    parser = FlagParser("asr plan", add_help=False)
    parser.add_argument("what", nargs="*", metavar="RECIPE")
    parser.add_argument("-m", "--multirun", action="store_true")
    options = parser.parse(arguments)
    if not options.what or not is_subject(options.what[0]):
        raise ConfigError(
            "asr plan needs a RECIPE: a folder, or the name of a shipped one; or the folder of a run; see asr plan "
            "--help."
        )
    subject, *overrides = options.what
    with given_recipe(subject, overrides) as recipe:
        _plan(subject, recipe, overrides)


def _plan(subject: str, recipe: Recipe, overrides: Sequence[str]) -> None:
    from asr.checks.corpus import refuse_mistakes
    from asr.features.perturbation import check_source
    from asr.planning.advice import Budget, Corpus, Plan, advise, plan_table, published_results
    from asr.planning.prediction import calibrate
    from asr.settings.compose import compose, sweep
    from asr.training.debugging import simplify

    points = sweep(recipe, overrides)
    remedies.give_settings(points[0])
    configs = [simplify(compose(recipe, point)) for point in points]
    for config in configs:
        check_source(config.features, config.augment)
        refuse_mistakes(recipe, config)
    labels, plans = _labels(points, configs), []
    _warn_if_busy()
    for label, config in zip(labels, configs, strict=True):
        log.info("Trying some steps of %s.", label)
        prediction = calibrate(recipe, config)
        plans.append(Plan(label, prediction, published_results(recipe, prediction)))
    asked, trial = configs[0].plan, plans[0].prediction
    budget = Budget(
        None if asked.minutes is None else 60 * asked.minutes,
        trial.device_bytes if asked.memory_gb is None else 1e9 * asked.memory_gb,
    )
    print(plan_table(plans, budget))
    print(f"\nTried on {trial.hardware}, in {trial.precision}, one process of {trial.threads} threads.")
    print(*advise(Corpus.read(recipe, configs[0]), plans, budget), sep="\n")


def _labels(points: Sequence[Sequence[str]], configs: "Sequence[Config]") -> list[str]:
    """The settings of each model that not all of them have."""
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


def _warn_if_busy() -> None:
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > BUSY * cores:
        log.warning("Other programs are at work (a load of %.1f on %d cores): the times will be too long.", load, cores)
