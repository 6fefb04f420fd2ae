"""Composes the configuration of a recipe, checks it against the dataclasses, and reads it back from a run."""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

import hydra
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException, ValidationError

from asr.common.documents import LARGEST, read_yaml
from asr.common.errors import ConfigError, masked
from asr.settings.aliases import canonical, replace_aliases
from asr.settings.bounds import check_bounds
from asr.settings.overrides import expand_home, readable
from asr.settings.recipe import CONF, Recipe
from asr.settings.root import Config
from asr.settings.sweeps import expand_sweep

HYDRA_VERSION = "1.3"
DEFAULTS = "write `defaults: [/config, _self_]` at the top of recipe.yaml, and below it what differs."
LATER_GROUPS = {
    "decoder": "greedy", "lm": "ngram", "evaluation": "default", "augment": "specaugment", "tokenizer": "char",
    "hardware": "auto", "listen": "default", "pack": "default", "shards": "default", "check": "default",
    "tracker": "auto",
}  # fmt: skip
"""Groups that got keys after models were trained, none of which determines weights, with their default choices."""
NOT_OF_TODAY: dict[str, Any] = {"name": None, "group": None, "tags": [], "notes": None, "job_type": None}
"""Of the tracker of a run that is older than these keys: today's environment says nothing about it."""


def compose(recipe: Recipe, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a recipe, with overrides as on the command line.

    Raises:
        ConfigError: A key that does not exist, a value of the wrong type, or a value that is missing.
    """
    overrides = check_overrides(recipe, overrides)
    hydra_config = HydraConfig.instance()
    previous = hydra_config.cfg
    try:
        with errors_as_sentences(), hydra.initialize_config_dir(str(recipe.folder), version_base=HYDRA_VERSION):
            composed = hydra.compose("recipe", [*into_mappings(overrides), search_path()], return_hydra_config=True)
            hydra_config.set_config(composed)
        with open_dict(composed):
            del composed["hydra"]
        return to_config(composed, overrides)
    finally:
        hydra_config.cfg = previous


def sweep(recipe: Recipe, overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values that stand in lists, as `-m` runs them.

    Returns:
        The overrides of each, in the order that Hydra takes them, as in [["model=lstm", "seed=1"], ...].

    Raises:
        ConfigError: A key that does not exist, or something other than a list of values.
    """
    overrides, _ = expand_sweep(recipe, check_overrides(recipe, overrides, swept=True))
    with errors_as_sentences():
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        (points,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    for point in points:
        check_overrides(recipe, point)
    return points


def search_path() -> str:
    """The override that makes Hydra search conf/ after the folder of the recipe."""
    folder = str(CONF).replace("\\", "\\\\").replace("'", "\\'")
    return f"hydra.searchpath=['file://{folder}']"


def check_overrides(recipe: Recipe, overrides: Sequence[str], swept: bool = False) -> list[str]:
    """Finds keys that do not exist, before Hydra composes anything.

    Args:
        swept: Whether commas separate the values of a sweep.

    Returns:
        The overrides, aliases replaced by their keys, with quotes where Hydra needs them.

    Raises:
        ConfigError: Names the override and the nearest key.
    """
    overrides = [readable(text, _kind(text), swept) for text in map(canonical, overrides)]
    with errors_as_sentences():
        parsed = OverridesParser.create().parse_overrides(overrides)
    for override in parsed:
        key, value = override.key_or_group, override.value()
        if key == "sweep" and (override.is_sweep_override() or isinstance(value, list)):
            raise ConfigError("sweep takes one name: run one sweep after the other.")
        choices = sorted(path.stem for root in (CONF, recipe.folder) for path in (root / key).glob("*.yaml"))
        if choices and isinstance(value, list):
            named = ",".join(str(item) for item in value)
            raise ConfigError(f"{key} takes one of its choices: to run each, write {key}={named} and add -m.")
        if choices and isinstance(value, str | int | float) and str(value) not in choices:
            hint = nearest(str(value), choices) or "."
            raise ConfigError(f"There is no {key}={value}, only {', '.join(choices)}{hint}")
        if not choices and not key.startswith(("hydra.", "hydra/")):
            _require_known([key])
    return overrides


def _kind(override: str) -> Any:
    """The type of the key that an override sets; None where there is no such key."""
    key = override.lstrip("+~").partition("=")[0]
    parent = next((known_keys()[above] for above in _above(key) if get_origin(known_keys().get(above)) is dict), None)
    return known_keys().get(key) if parent is None else get_args(parent)[1]


def into_mappings(overrides: Sequence[str]) -> list[str]:
    """Overrides as Hydra takes them: with `++` before the user's own keys of a mapping."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [
        f"++{text}" if not text.startswith(("+", "~")) and _takes_any(override.key_or_group) else text
        for text, override in zip(overrides, parsed, strict=True)
    ]


def _takes_any(key: str) -> bool:
    return get_origin(known_keys().get(key)) is dict or _inside_mapping(key)


def to_config(composed: DictConfig, overrides: Sequence[str] = ()) -> Config:
    """Checks what was composed with overrides against the dataclasses and resolves its interpolations.

    Raises:
        ConfigError: A key that does not exist, or a value that is missing, of the wrong type or out of its bounds.
    """
    with errors_as_sentences():
        replace_aliases(composed, overrides)
        nested = cast(dict[str, Any], OmegaConf.to_container(composed))
        _require_groups(nested)
        expand_home(composed)
        values = flattened(cast(dict[str, Any], OmegaConf.to_container(composed)))
        _require_known(values)
        _require_numbers(values)
        try:
            merged = OmegaConf.merge(OmegaConf.structured(Config), composed)
        except ValidationError as error:
            raise ConfigError(_wrong_type(error, composed)) from None
        for key in known_keys():
            if values.get(key, MISSING) == MISSING:
                remedy = DEFAULTS if key == "seed" else f"set it in recipe.yaml or as {key}=..."
                raise ConfigError(f"{key} has no value: {remedy}")
        config = cast(Config, OmegaConf.to_object(merged))
    check_bounds(flattened(plain(config)))
    return config


def plain(config: Config) -> dict[str, Any]:
    """The configuration as dicts, lists, numbers and strings, enums by name; `load_config` reads it back from YAML.

    It goes to files and to Weights & Biases, so addresses have no credentials.
    """
    return cast(dict[str, Any], _plain(config, Config))


def _plain(value: Any, kind: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {name: _plain(getattr(value, name), kind) for name, kind in _fields(cast(type, type(value))).items()}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return [_plain(item, get_args(kind)[0]) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, get_args(kind)[1]) for key, item in value.items()}
    if isinstance(value, str):
        return masked(value)
    # A whole number that a program set is written as the same number from YAML is.
    return float(value) if isinstance(value, int) and float in (kind, *get_args(kind)) else value


def as_yaml(config: Config) -> str:
    """The configuration as the file that `load_config` reads back."""
    return OmegaConf.to_yaml(OmegaConf.create(plain(config)))


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their full key, groups included: {"model": {...}, "model.hidden": 320}."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat[f"{prefix}{name}"] = value
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{name}.")
    return flat


def load_config(path: Path) -> Config:
    """Reads the config.yaml of a run or of a model. Nothing in it is executed.

    What a file of an earlier version lacks of LATER_GROUPS comes from their default choices; errors were counted in
    words.

    Raises:
        ConfigError: There is no such file, or it is no configuration; names the file.
    """
    try:
        with errors_as_sentences():
            values = read_yaml(path)
            _require_groups(values)
            loaded = OmegaConf.create(values)
        later = {group: OmegaConf.load(CONF / group / f"{choice}.yaml") for group, choice in LATER_GROUPS.items()}
        later["tracker"].update(NOT_OF_TODAY)
        later["data"] = OmegaConf.create({"license": None})  # likewise
        later["scoring"] = OmegaConf.create({"unit": "word", "normalizer": "none"})  # before they were settings
        return to_config(DictConfig(OmegaConf.merge(OmegaConf.create(later), loaded)))
    except FileNotFoundError:
        raise ConfigError(f"No configuration at {path}: is its folder a run or a model?") from None
    except (ConfigError, OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ConfigError(f"The configuration {path} cannot be used: {reason}") from None


def nearest(word: str, choices: Iterable[str]) -> str:
    """ "; did you mean X?" where a choice resembles the word or ends in it, else an empty string."""
    choices = list(choices)
    same_ending = [choice for choice in choices if choice.split(".")[-1] == word.split(".")[-1]]
    close = difflib.get_close_matches(word, choices, n=1)
    # For a name without its group all endings are equally near: the groups stand in the order of their importance.
    found = (close or same_ending if "." in word else same_ending or close)[:1]
    return f"; did you mean {found[0]}?" if found else ""


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turns the errors of Hydra and OmegaConf into a ConfigError of one sentence."""
    try:
        yield
    except OverrideParseException as error:
        raise ConfigError(f"Cannot read {error.override!r}: write key=value.") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or 'The configuration'}: {str(error).splitlines()[0]}") from None
    except HydraException as error:
        if "Could not find 'hydra/launcher/submitit_slurm'" in str(error):
            raise ConfigError("cluster=slurm needs submitit: pip install 'asr[cluster]' brings it.") from None
        if "must be a DictConfig" in str(error):
            raise ConfigError(f"recipe.yaml holds no keys: {DEFAULTS}") from None
        message, *ways_out = str(error).split("\nConfig search path")[0].split("\n1. To use it as a list")
        sentence = " ".join(message.split())
        raise ConfigError(f"{sentence}: add -m to run each, or write a [list]." if ways_out else sentence) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"A configuration file is no YAML: {' '.join(str(error).split())}") from None


@cache
def known_keys() -> dict[str, Any]:
    """Every key of the configuration with its type, as in {"model": ModelConfig, "model.hidden": int}."""
    return dict(_keys_of_type(Config, ""))


@cache
def _fields(owner: type) -> dict[str, Any]:
    return get_type_hints(owner)


def _keys_of_type(owner: type, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, kind in _fields(owner).items():
        yield prefix + name, kind
        if dataclasses.is_dataclass(kind):
            yield from _keys_of_type(cast(type, kind), f"{prefix}{name}.")


def _inside_mapping(key: str) -> bool:
    """Whether a key is the user's own, below one that takes any, such as cluster.sbatch."""
    return any(get_origin(known_keys().get(parent)) is dict for parent in _above(key))


def _above(key: str) -> Iterator[str]:
    """The groups and mappings in which a key stands, the outermost first."""
    return (key[:place] for place, letter in enumerate(key) if letter == ".")


def _require_known(keys: Iterable[str]) -> None:
    for key in keys:
        if key not in known_keys() and not _inside_mapping(key):
            raise ConfigError(f"There is no key {key}{nearest(key, known_keys()) or '; see docs/configuration.md.'}")


def _require_groups(values: Mapping[Any, Any], prefix: str = "") -> None:
    """Refuses what stands in the place of a group, lists and mappings within those of a setting, which OmegaConf lets
    pass, and keys that are not names, such as null."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        if not isinstance(name, str) and not _inside_mapping(key):
            raise ConfigError(f"The key {key!r} is no name: write the name of a setting.")
        kind = known_keys().get(key)
        mapped = isinstance(value, dict) and get_origin(kind) is dict
        items = value.values() if mapped else value if isinstance(value, list) else ()
        listed = any(get_origin(part) is list for part in (kind, *get_args(kind)))
        if any(isinstance(item, list | dict) for item in items) or (isinstance(value, list) and kind and not listed):
            raise ConfigError(f"{key} is {value!r}, where {described(kind)} belongs.")
        if isinstance(value, dict) and not listed:
            _require_groups(value, f"{key}.")
        elif isinstance(value, dict) or dataclasses.is_dataclass(kind) or get_origin(kind) is dict:
            raise ConfigError(f"{key} is {'null' if value is None else repr(value)}, where {described(kind)} belongs.")


def _require_numbers(values: Mapping[str, Any]) -> None:
    """Refuses whole numbers that no floating-point number reaches, which can be neither compared nor printed."""
    for key, value in values.items():
        numbers = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, int)]
        if any(abs(number) > LARGEST for number in numbers):
            raise ConfigError(f"{key} has more digits than any number that is meant: give a smaller one.")


def _wrong_type(error: ValidationError, composed: DictConfig) -> str:
    key = (error.full_key or "").split("[")[0]
    value = OmegaConf.select(composed, key)
    kind = known_keys().get(key) or get_args(known_keys()[key.rpartition(".")[0]])[1]
    choices = [member.name for enum in _enums_in(kind) for member in enum]
    wrong = [item for item in (value if OmegaConf.is_list(value) else [value]) if item not in choices]
    hint = nearest(str(wrong[0]), choices) if wrong else ""
    found = "null" if value is None else repr(value)
    return f"{key} is {found}, where {described(kind)} belongs{hint or '.'}"


def _enums_in(kind: Any) -> list[type[Enum]]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [kind]
    return [enum for part in get_args(kind) for enum in _enums_in(part)]


def described(kind: Any) -> str:
    """The type of a key in words, as in "a whole number or null"."""
    if dataclasses.is_dataclass(kind):
        return f"a group with the keys {', '.join(field.name for field in dataclasses.fields(kind))}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(member.name for member in kind)}"
    if get_origin(kind) is list:
        return f"a list in brackets (each item {described(get_args(kind)[0])})"
    if get_origin(kind) is dict:
        return f"a mapping in braces (each value {described(get_args(kind)[1])})"
    if NoneType in get_args(kind):
        return f"{described(get_args(kind)[0])} or null"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(kind, str(kind))
