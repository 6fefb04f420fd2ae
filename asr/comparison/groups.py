"""Which runs are one model: those that differ in the seed alone."""

import json
from collections.abc import Sequence

from asr.comparison.measured import MeasuredRun
from asr.composition import flattened, plain
from asr.config import Config
from asr.training.run_folder import NOT_IN_HASH


def group_runs(runs: Sequence[MeasuredRun]) -> dict[str, list[MeasuredRun]]:
    """The runs of each model by its label, in the order in which the models come first, their seeds ascending.

    A label is the name of the runs; where two models share one, with the settings in which they differ.
    """
    groups: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.test.recipe, _settings(run.config)], sort_keys=True), []).append(run)
    models = [sorted(group, key=lambda run: run.config.seed) for group in groups.values()]
    names = [group[0].config.name for group in models]
    return {
        (group[0].config.name if names.count(group[0].config.name) == 1 else _long_label(group[0], models)): group
        for group in models
    }


def _settings(config: Config) -> dict[str, object]:
    """What determines the weights, but for the seed, by full key."""
    kept = {key: value for key, value in plain(config).items() if key not in (*NOT_IN_HASH, "seed")}
    values = flattened(kept)
    return {key: value for key, value in values.items() if key != "training.restart" and not isinstance(value, dict)}


def _long_label(run: MeasuredRun, models: Sequence[Sequence[MeasuredRun]]) -> str:
    """The run's name and its values of the settings in which runs of this name differ."""
    same_name = [_settings(group[0].config) for group in models if group[0].config.name == run.config.name]
    here = _settings(run.config)
    differing = [key for key in here if any(settings.get(key) != here[key] for settings in same_name)]
    return ", ".join([run.config.name, *(f"{key}={here[key]}" for key in differing)])
