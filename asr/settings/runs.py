"""A run as its own configuration: its settings in the place of a recipe.yaml, and the place of its corpus."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from asr.common.files import atomic_folder
from asr.settings.compose import load_config, plain
from asr.settings.recipe import CONF, RECIPES, SETTINGS, Recipe
from asr.settings.root import Config

LANGUAGE_MODELS = "lm"
"""In the folder of a recipe's runs, those of its recurrent language models."""
OF_ONE_COMMAND = ("training.restart", "check", "listen", "pack", "plan", "compare")
"""What the settings of a run keep of the command that began it, which a later one does not repeat."""
SUBMITS = ("cluster=slurm", "hydra/launcher=submitit")
DEFAULTS = "defaults: [/config, _self_]\n"


@contextmanager
def as_recipe(run: Path, overrides: Sequence[str]) -> Iterator[Recipe]:
    """The recipe of a run for a time in which it is composed: its recipe.yaml holds the settings of the run.

    That of jobs that are submitted stays. OF_ONE_COMMAND has its defaults. Of a group that an override chooses, keys in
    which the choices differ are left to the choice.

    Args:
        run: The folder of the run.

    Raises:
        ConfigError: It has no settings, or they are damaged.
    """
    run = run.absolute()
    config = load_config(run / SETTINGS)
    name, runs = recipe_and_root(run, config)
    config.paths.data = _from_here(config.paths.data, data_root(run, config))
    config.paths.runs = _from_here(config.paths.runs, runs)
    settings = plain(config)
    for key in (*OF_ONE_COMMAND, *_left_open(config, overrides, recipe_folder(name))):
        group, _, name_there = key.rpartition(".")
        (settings[group] if group else settings).pop(name_there, None)
    written = DEFAULTS + OmegaConf.to_yaml(OmegaConf.create(settings))
    if any(text.startswith(SUBMITS) for text in overrides):
        # The job composes on its node, after this command: beside what else is kept for jobs, which all nodes see.
        identity = repr([written, *sorted(recipe_folder(name).glob("*"))])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
        kept = runs / ".multirun" / f"recipe-{digest}" / name
        if not kept.exists():  # another job may be composing
            with atomic_folder(kept) as folder:
                _fill(folder, recipe_folder(name), written)
        yield Recipe(kept, run)
    else:
        with tempfile.TemporaryDirectory(prefix="asr-run-") as place:
            folder = Path(place) / name
            folder.mkdir()
            _fill(folder, recipe_folder(name), written)
            yield Recipe(folder, run)


def _fill(folder: Path, home: Path, settings: str) -> None:
    """Makes an empty folder a recipe with settings, and with what else lies in its own folder, as its choices."""
    for path in home.iterdir() if home.is_dir() else ():
        if path.name != "recipe.yaml":
            (folder / path.name).symlink_to(path.absolute())
    (folder / "recipe.yaml").write_text(settings, encoding="utf-8")


def at_home(recipe: Recipe) -> Recipe:
    """The recipe of `as_recipe` after that time: where its own folder is, which may be nowhere."""
    return recipe if recipe.run is None else Recipe(recipe_folder(recipe.name), recipe.run)


def is_language_model(run: Path, config: Config) -> bool:
    """Whether a run is that of a recurrent language model."""
    lm = config.lm
    return (
        run.parent.name == LANGUAGE_MODELS
        and lm.kind.recurrent
        and run.name.startswith(f"{lm.kind.name}-{lm.units.name}-")
    )


def recipe_and_root(run: Path, config: Config) -> tuple[str, Path]:
    """The name of the recipe of a run, and the folder of all runs."""
    above = run.absolute().parents
    return (above[1].name, above[2]) if is_language_model(run, config) else (above[0].name, above[1])


def recipe_folder(name: str) -> Path:
    """The folder of a recipe of which the name is known: here, or among the shipped ones; it may be nowhere."""
    return next((folder for folder in (Path(name), RECIPES / name) if (folder / "recipe.yaml").is_file()), Path(name))


def data_root(run: Path, config: Config) -> Path | None:
    """`paths.data` of a run as a folder that holds its corpus; None where it is not found.

    A relative path is resolved from the current folder, then from the folder where the training ran.
    """
    name, root = recipe_and_root(run, config)
    return find_data(Path(config.paths.data), Path(config.paths.runs), root, name)


def find_data(data: Path, runs: Path, root: Path, recipe: str) -> Path | None:
    """As `data_root`, by `paths.data` and `paths.runs` of a run, the folder of all runs and the name of the recipe."""
    started = root.parents[min(len(runs.parts) - 1, len(root.parents) - 1)]
    return next((place / data for place in (Path.cwd(), started) if (place / data / recipe).is_dir()), None)


def _from_here(given: str, found: Path | None) -> str:
    """A folder as it was given where that leads to it from the current folder."""
    return given if found is None or Path(given).absolute() == found else str(found)


def _left_open(config: Config, overrides: Sequence[str], home: Path) -> Iterator[str]:
    """The keys that are not taken from the run, by full name."""
    for override in overrides:
        group = re.split("[=@]", override.lstrip("+~"))[0]
        if (CONF / group).is_dir():
            yield from _telling(group, [home / group, CONF / group])
    if config.cluster.ranks_per_node == config.cluster.gpus_per_node:
        yield "cluster.ranks_per_node"  # where it was not set it follows the other


def _telling(group: str, places: Sequence[Path]) -> Iterator[str]:
    """The keys in which the choices of a group differ, those of the recipe and the shipped ones."""
    choices = [_values(path, places) for place in places for path in place.glob("*.yaml")]
    for key in dict.fromkeys(key for choice in choices for key in choice):
        if any(choice.get(key) != choices[0].get(key) for choice in choices):
            yield f"{group}.{key}"


def _values(choice: Path, places: Sequence[Path]) -> dict[str, Any]:
    """The values of a choice of a group, with those of the choices that it is made from."""
    own = yaml.safe_load(choice.read_text(encoding="utf-8")) or {}
    files = [
        next((place / f"{name}.yaml" for place in places if (place / f"{name}.yaml").is_file()), choice)
        for name in own.pop("defaults", [])
    ]
    inherited = [_values(path, places) for path in files if path != choice]
    return {key: value for values in (*inherited, own) for key, value in values.items()}
