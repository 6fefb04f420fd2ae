"""What a comparison trains: variants of a recipe, each with the same seeds, of equal size or training time."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from asr.common.documents import read_json
from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_write_text
from asr.common.processes import cores
from asr.common.tables import table
from asr.decoding.setup import decoder_name
from asr.features.extractor import FeatureExtractor
from asr.model.acoustic import AcousticModel, count_parameters
from asr.planning.prediction import calibrate
from asr.scoring.results import evaluation_folder, read_results
from asr.settings.compose import compose, sweep
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.tokenizer import build_tokenizer
from asr.tracking.metrics import read_metrics
from asr.training.debugging import simplify
from asr.training.hardware import resolve_hardware
from asr.training.identity import determines_weights
from asr.training.run_folder import RunFolder, find_run_folder

log = logging.getLogger(__name__)

TOLERANCE = 0.02
NOT_COMPARED = ("seed", "paths", "tracker", "hardware", "compare")
"""Keys in which a comparison that is found again may differ."""
NAME_LENGTH = 60
EPOCHS = "epochs.json"


@dataclass(frozen=True)
class Variant:
    """What is compared: the recipe with one choice of the swept settings, trained with every seed."""

    label: str
    """What distinguishes it from the others, such as "gru"."""
    overrides: list[str]
    """The user's, without the seed and compare.*, and those that make the variants equal in size or time."""
    config: Config
    """With the first seed."""
    parameters: int


@dataclass(frozen=True)
class PlannedRun:
    """One training with its evaluation."""

    variant: Variant
    seed: int
    overrides: list[str]
    folder: RunFolder

    @property
    def name(self) -> str:
        """Its name within the comparison, such as "gru, seed 2"."""
        return f"{self.variant.label}, seed {self.seed}"

    @property
    def done(self) -> bool:
        """Whether it is trained to its end and evaluated."""
        return is_done(self.folder.path, self.variant.config)


@dataclass(frozen=True)
class Grid:
    """The variants of a recipe and the seeds that each of them is trained with."""

    recipe: Recipe
    settings: Config
    """Of the first point; its `compare` and `tracker` apply to the comparison."""
    name: str
    """Of the comparison: its models, and a hash of their settings and of the training time."""
    variants: list[Variant]
    seeds: list[int]

    @property
    def folder(self) -> Path:
        """The comparison's folder."""
        return Path(self.settings.paths.runs).absolute() / self.recipe.name / "comparisons" / self.name

    def inputs(self) -> Iterator[Config]:
        """A configuration for each distinct input of the variants, which must be prepared before the training."""
        seen: list[Any] = []
        for config in (variant.config for variant in self.variants):
            if (inputs := (config.data, config.features, config.augment)) not in seen:
                seen.append(inputs)
                yield config

    def in_equal_time(self) -> "Grid":
        """Gives every variant as many epochs as fit `compare.minutes`, dev included, where it is set.

        The time of an epoch is measured once for each variant and kept in the comparison's folder, so that the same
        command finds the runs that it began.

        Raises:
            ConfigError: The epochs are set as well.
            DataError: The recipe is not prepared.
            RunError: A trial failed.
        """
        minutes = self.settings.compare.minutes
        if minutes is None:
            return self
        return replace(self, variants=[_with_epochs(self.recipe, each, minutes, self.folder) for each in self.variants])

    def runs(self) -> list[PlannedRun]:
        """All trainings, each seed of all variants before the next seed, so that early comparisons are even.

        Raises:
            DataError: The recipe is not prepared.
        """
        runs = []
        for seed in self.seeds:
            for variant in self.variants:
                config = replace(variant.config, seed=seed)
                folder = find_run_folder(self.recipe, config, resolve_hardware(config.hardware).precision)
                runs.append(PlannedRun(variant, seed, [*variant.overrides, f"seed={seed}"], folder))
        return runs


def plan_grid(recipe: Recipe, overrides: Sequence[str], texts: Sequence[str]) -> Grid:
    """The variants and the seeds of which a sweep is the product; a tokenizer may learn its pieces from `texts`.

    Raises:
        ConfigError: A setting cannot be used, or no model has the wanted size.
    """
    swept = sweep(recipe, overrides)
    settings = compose(recipe, swept[0])
    points = [[item for item in point if not _sets(item, "compare")] for point in swept]
    chosen = dict.fromkeys(tuple(item for item in point if _sets(item, "seed")) for point in points)
    seeds = list(dict.fromkeys(compose(recipe, seed).seed for seed in chosen))
    choices = list(dict.fromkeys(tuple(item for item in point if not _sets(item, "seed")) for point in points))
    common = set(choices[0]).intersection(*choices[1:]) if len(choices) > 1 else set()
    variants = []
    for choice in choices:
        items = [*choice, *_share_of_cores(choice, settings.compare.jobs)]
        config = simplify(compose(recipe, [*items, f"seed={seeds[0]}"]))
        tokens = build_tokenizer(config.tokenizer, texts).size
        if settings.compare.parameters is not None:
            if any(_sets(item, "model.hidden") for item in items):
                raise ConfigError("compare.parameters chooses model.hidden: leave one of the two out.")
            hidden = solve_hidden(config, tokens, settings.compare.parameters)
            items.append(f"model.hidden={hidden}")
            config = simplify(compose(recipe, [*items, f"seed={seeds[0]}"]))
        label = ", ".join(_short(item) for item in choice if item not in common) or config.name
        variants.append(Variant(label, items, config, parameters_of(config, tokens)))
    labels = [variant.label for variant in variants]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"Two of the compared settings are the same: {', '.join(labels)}.")
    return Grid(recipe, settings, _comparison_name(variants, settings), variants, seeds)


def plan_table(runs: Sequence[PlannedRun]) -> str:
    """What will be trained, a line for each variant."""
    rows = []
    for variant in {run.variant.label: run.variant for run in runs}.values():
        done = {run.seed: run.done for run in runs if run.variant is variant}
        seeds = [" ".join(str(seed) for seed in done if done[seed] is wanted) or "-" for wanted in (True, False)]
        config = variant.config
        rows.append([variant.label, config.model.hidden, f"{variant.parameters:,}", config.training.epochs, *seeds])
    return table(["model", "hidden", "parameters", "epochs", "seeds done", "seeds to do"], rows)


def is_done(run: Path, config: Config) -> bool:
    """Whether a run is trained to its end and then evaluated."""
    splits = ("test",) if config.training.with_dev else ("dev", "test")
    try:
        evaluated = [read_results(evaluation_folder(run, split, decoder_name(config))) for split in splits]
        rows = read_metrics(run)
    except RunError:
        return False
    if not rows or any(results.train_seconds != rows[-1]["seconds"] for results in evaluated):
        return False
    early = config.training.early_stopping_epochs is not None
    return early or rows[-1]["epoch"] >= config.training.epochs


def parameters_of(config: Config, tokens: int) -> int:
    """Trainable parameters of the model of a configuration with a number of tokens, counted without allocating them."""
    dim = FeatureExtractor(config.features, config.data.sampling_rate).dim
    with torch.device("meta"):
        return count_parameters(AcousticModel(config.model, dim, tokens, config.features.normalization))


def solve_hidden(config: Config, tokens: int, parameters: float) -> int:
    """The `model.hidden` that gives a model the wanted number of parameters, within 2 %.

    Of the sizes within 2 % it takes one that is divisible by 16, 8, 4 or 2, the highest of these that is possible,
    since vector units leave lanes empty at odd sizes; among those the nearest.

    Args:
        tokens: Size of the tokenizer, the blank included.
        parameters: The number that is wanted.

    Raises:
        ConfigError: No size comes within 2 %.
    """

    def count(hidden: int) -> int:
        return parameters_of(replace(config, model=replace(config.model, hidden=hidden)), tokens)

    def smallest(wanted: float) -> int:
        """The smallest size with at least that many parameters."""
        low, high = 0, 1
        while count(high) < wanted:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(middle) < wanted else (low, middle)
        return high

    nearest = smallest(parameters)
    counts = {hidden: count(hidden) for hidden in (nearest - 1, nearest) if hidden}
    first, last = smallest((1 - TOLERANCE) * parameters), smallest((1 + TOLERANCE) * parameters)
    for divisor in (16, 8, 4, 2, 1):
        within = {hidden: count(hidden) for hidden in range(first, last + 1) if hidden % divisor == 0}
        within = {hidden: c for hidden, c in within.items() if abs(c / parameters - 1) <= TOLERANCE}
        if within:
            return min(within, key=lambda hidden: abs(within[hidden] - parameters))
    offered = ", ".join(f"{c} (model.hidden={hidden})" for hidden, c in counts.items())
    raise ConfigError(
        f"No model.hidden gives {parameters:.0f} parameters within 2 %; the nearest are {offered}: change "
        "compare.parameters or model.layers."
    )


def _comparison_name(variants: Sequence[Variant], config: Config) -> str:
    if config.compare.name is not None:
        return config.compare.name
    kept = [[item for item in variant.overrides if not _sets(item, *NOT_COMPARED)] for variant in variants]
    digest = hashlib.sha256(json.dumps([kept, config.compare.minutes]).encode()).hexdigest()[:8]
    models = "-".join(re.sub(r"[^\w.]+", "_", variant.label) for variant in variants)
    return f"{models[:NAME_LENGTH]}-{digest}"


def _with_epochs(recipe: Recipe, variant: Variant, minutes: float, folder: Path) -> Variant:
    if any(_sets(item, "training.epochs") for item in variant.overrides):
        raise ConfigError("compare.minutes chooses training.epochs: leave one of the two out.")
    seconds = _epoch_seconds(recipe, variant, folder / EPOCHS)
    epochs = max(1, int(60 * minutes / seconds))
    log.info("%s: %.1f s an epoch, %d epochs.", variant.label, seconds, epochs)
    items = [*variant.overrides, f"training.epochs={epochs}"]
    return replace(variant, overrides=items, config=compose(recipe, [*items, f"seed={variant.config.seed}"]))


def _epoch_seconds(recipe: Recipe, variant: Variant, kept: Path) -> float:
    """The time of an epoch, as measured before or by a trial of some steps."""
    try:
        trials = read_json(kept) if kept.exists() else {}
    except (OSError, ValueError) as error:
        raise RunError(f"{kept} is damaged ({error}): delete it, and the epochs are timed again.") from None
    settings = [item for item in variant.overrides if determines_weights(_key(item))]
    trial = trials.get(variant.label)
    # A trial of an earlier version does not name its settings.
    if trial is None or trial.get("settings", settings) != settings:
        log.info("%s: timing a few steps.", variant.label)
        trial = {"seconds_per_epoch": calibrate(recipe, variant.config).epoch_seconds, "settings": settings}
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(kept, json.dumps(trials | {variant.label: trial}, indent=1) + "\n")
    return float(trial["seconds_per_epoch"])


def _share_of_cores(overrides: Sequence[str], jobs: int) -> list[str]:
    """The threads of each of several trainings at a time, unless the user sets them."""
    if jobs == 1 or any(_sets(item, "hardware.threads") for item in overrides):
        return []
    return [f"hardware.threads={max(1, cores() // jobs)}"]


def _sets(override: str, *keys: str) -> bool:
    key = _key(override)
    return any(key == wanted or key.startswith((f"{wanted}.", f"{wanted}/")) for wanted in keys)


def _key(override: str) -> str:
    return override.lstrip("+~").split("=")[0].split("@")[0]


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return value if key in ("model", "name") else override
