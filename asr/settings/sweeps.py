"""Sweeps: the files of conf/sweep/, which `wandb sweep` reads as they are, as Hydra's multirun."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from asr.common.errors import ConfigError
from asr.common.files import read_text
from asr.settings.overrides import quoted
from asr.settings.recipe import CONF, Recipe

GROUP = "sweep"


def expand_sweep(recipe: Recipe, overrides: Sequence[str]) -> tuple[list[str], bool]:
    """Puts the parameters of a sweep, of the recipe or of conf/, in the place of `sweep=NAME`; what the user sets by
    hand wins over them. All overrides are known to be readable.

    Returns:
        The overrides, and whether there is a sweep among them.

    Raises:
        ConfigError: The file is no sweep, or one that only Weights & Biases can draw from.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    names = [str(override.value()) for override in parsed if override.key_or_group == GROUP]
    if not names:
        return list(overrides), False
    kept = [text for text, override in zip(overrides, parsed, strict=True) if override.key_or_group != GROUP]
    by_hand = {override.key_or_group for override in parsed}
    candidates = [root / GROUP / f"{names[-1]}.yaml" for root in (recipe.folder, CONF)]
    path = next(path for path in candidates if path.is_file())
    values = {key: listed for key, listed in _values(path).items() if key not in by_hand}
    return [*kept, *(f"{key}={','.join(listed)}" for key, listed in values.items())], True


def group_name(recipe: Recipe, overrides: Sequence[str]) -> str:
    """What the runs of one multirun are called together, as in `an4 model=lstm,gru seed=1,2,3`."""
    telling = [text for text in overrides if not text.startswith(("paths.", "tracker", "hardware", "cluster", "hydra"))]
    return " ".join([recipe.name, *telling])[:128]


def _values(path: Path) -> dict[str, list[str]]:
    """The values of each parameter, as overrides write them."""
    read = yaml.safe_load(read_text(path))
    parameters = read.get("parameters") if isinstance(read, dict) else None
    if not isinstance(parameters, dict) or not parameters:
        raise ConfigError(f"{path} is no sweep: it has no parameters.")
    values = {}
    for key, given in parameters.items():
        listed = (
            given.get("values", [given["value"]] if "value" in given else None) if isinstance(given, dict) else None
        )
        if not isinstance(listed, list) or not listed:
            raise ConfigError(
                f"{path} gives no values for {key}: only `wandb sweep` draws from a distribution; list values here."
            )
        values[str(key)] = [_as_override(value) for value in listed]
    return values


def _as_override(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return quoted(str(value)) if isinstance(value, str) else str(value)
