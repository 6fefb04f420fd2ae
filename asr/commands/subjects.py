"""What commands are given: recipes and runs, by their folders, by their names, or by the hash of a run."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asr.common.errors import ConfigError, RunError, asr_command, listed
from asr.common.files import expanded
from asr.settings.recipe import CONF, MODEL, RECIPES, SETTINGS, Recipe, find_recipe, runs_in

if TYPE_CHECKING:
    from asr.report.runs import Run

log = logging.getLogger(__name__)

BEST = "best"
"""In RECIPE/best, the run with the lowest dev error rate."""
SHORTEST = 3
"""Letters of a hash that a user must give."""


def is_subject(argument: str) -> bool:
    """Whether the first argument of a command names a recipe or a run, and is no setting: folders may have a `=`."""
    return "=" not in argument or Path(argument).exists()


@contextmanager
def given_recipe(name: str, overrides: Sequence[str], language_models: bool = False) -> Iterator[Recipe]:
    """The recipe that a user names, or that of a run, which is composed of the settings of the run.

    Args:
        overrides: Those of the same command.
        language_models: Whether the run may be that of a recurrent language model.

    Raises:
        ConfigError: There is neither a recipe nor a run.
        RunError: The run cannot be used here, or there are several.
    """
    if (Path(name) / "recipe.yaml").is_file() or (RECIPES / name / "recipe.yaml").is_file():
        yield find_recipe(name)
        return
    given = (text.partition("=")[2] for text in overrides if text.startswith("paths.runs="))
    run = find_run(name, next((expanded(place) for place in given), None))
    if not is_run(run):
        if found := runs_in(run):
            raise RunError(f"{name} holds {_counted(found)}: name one, as {found[0]}, or {Path(name) / BEST}.")
        require_settings(run)
        yield find_recipe(name)  # which says what may be given
        return

    from asr.settings.compose import load_config
    from asr.settings.runs import as_recipe, is_language_model

    if not language_models and is_language_model(run.absolute(), load_config(run / SETTINGS)):
        train = asr_command("lm", "train", run)
        raise RunError(f"{run} is the run of a language model: use {train} to resume it, or give another run here.")
    with as_recipe(run, overrides) as recipe:
        yield recipe


def find_run(name: str | Path, runs: Path | None = None) -> Path:
    """The folder of the run that a user names: by its path, by its hash or the beginning of it, or as RECIPE/best.

    Args:
        runs: The folder of all runs; None takes those that the recipes say.

    Returns:
        A path that is no run where there is none of this name.

    Raises:
        RunError: There are several of them, or none can be the best.
    """
    path = Path(name)
    if path.name == "model" and is_run(path.parent):
        return path.parent
    if path.exists():
        return path
    if path.name == BEST and path.parent != Path():
        return _best(path.parent if runs_in(path.parent) else (runs or runs_root(path.parent)) / path.parent.name)
    if re.fullmatch(f"[0-9a-f]{{{SHORTEST},8}}", str(name)):
        patterns = [f"{place}-{name}*/{SETTINGS}" for place in ("*/*", "*/lm/*")]
        roots = [runs] if runs else run_roots()
        found = [file.parent for root in roots for pattern in patterns for file in root.glob(pattern)]
        found = [folder for folder in found if folder.name.rpartition("-")[2].startswith(str(name))]
        if len(found) > 1:
            raise RunError(f"{name} begins the hash of {_counted(found)}: {', '.join(map(str, sorted(found)))}.")
        if found:
            return found[0]
    return path


def given_run(name: str | Path) -> Path:
    """The folder of the run that a user names, as `find_run` finds it.

    Raises:
        RunError: There is none, or there are several.
    """
    run = find_run(name)
    if not is_run(run):
        require_settings(run)
        found = runs_in(find_runs_of(name))
        said = f"{name} has {_counted(found)}: name one" if found else f"No run at {name}: give its folder, its hash"
        raise RunError(f"{said}, as {found[0]}, or {Path(name) / BEST}." if found else f"{said}, or RECIPE/{BEST}.")
    return run


def require_settings(folder: Path) -> None:
    """Refuses what was a run before its settings were lost; its model has the same.

    Raises:
        RunError: It is such a folder.
    """
    if (copy := folder / MODEL / SETTINGS).is_file() and not (folder / SETTINGS).is_file():
        raise RunError(f"{folder} has no {SETTINGS}, which every run has: put it back, as a copy of {copy}.")


def find_given_model(name: str | Path) -> Path:
    """As `find_run`, or a model folder, or a model on the Hugging Face hub, which is downloaded now.

    Raises:
        RunError: As of `find_run`, or it cannot be downloaded.
    """
    from asr.model.hub import is_address

    if not is_address(name):
        return find_run(name)
    from asr.model.folder import model_folder

    return model_folder(name, "MODEL")


def find_runs_of(name: str | Path) -> Path:
    """As `find_run`, or a folder of runs: that of a recipe that is named, where there is none at that path."""
    path = find_run(name)
    if is_run(path) or runs_in(path):
        return path
    named = runs_root(path) / path.absolute().name
    return named if is_run(named) or runs_in(named) else path


def given_runs(names: Sequence[str]) -> "list[Run]":
    """The runs that a user names by recipes, by folders of runs, or one by one; all where none is named.

    Raises:
        ConfigError: There is none of a name.
    """
    from asr.report.overview import runs_below
    from asr.report.runs import find_runs

    if not names and (runs := _all_runs()):
        _name_incomplete([folder for root in run_roots() for folder in root.glob("*/*")])
        return runs
    runs = []
    for name in names or [str(run_roots()[0])]:
        place = find_runs_of(name)
        found = find_runs([place]) if is_run(place) or runs_in(place) else runs_below(place)
        if not found:
            recipes = sorted({run.recipe for run in _all_runs()})
            there = f"there are runs of {', '.join(recipes)}" if recipes else f"{listed(run_roots())} has none"
            raise ConfigError(f"No run of {name}: {there}; give a recipe that was trained, or a folder of runs.")
        _name_incomplete([*place.glob("*"), *place.glob("*/*")])
        runs += [run for run in found if run.folder.absolute() not in {one.folder.absolute() for one in runs}]
    return runs


def _name_incomplete(folders: Sequence[Path]) -> None:
    """Warns of those that have the metrics of a training and not its settings, and are no runs any more."""
    from asr.tracking.metrics import metrics_path

    for folder in folders:
        if metrics_path(folder).is_file() and not (folder / SETTINGS).is_file():
            log.warning("%s is left out: it has no %s, which every run has.", folder, SETTINGS)


def _all_runs() -> "list[Run]":
    from asr.report.overview import runs_below

    return [run for root in run_roots() for run in runs_below(root)]


def runs_root(recipe: str | Path) -> Path:
    """`paths.runs` of a recipe, by its folder or its name; that of all recipes where there is no such recipe."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    found = None
    for file in (CONF / "config.yaml", RECIPES / recipe / "recipe.yaml", Path(recipe) / "recipe.yaml"):
        with suppress(OSError, ValueError, YAMLError, OmegaConfBaseException):  # a command on the recipe tells it
            found = OmegaConf.select(OmegaConf.load(file), "paths.runs") or found
    return expanded(str(found))


def run_roots() -> list[Path]:
    """The folders of runs that the recipes in the current folder say, first that of recipes which say nothing."""
    recipes = sorted(file.parent for file in Path().glob("*/recipe.yaml"))
    return list(dict.fromkeys(runs_root(recipe) for recipe in [RECIPES, *recipes]))


def _best(folder: Path) -> Path:
    from asr.report.overview import best_run, judged_apart, readable_runs
    from asr.report.runs import find_runs

    runs = readable_runs(find_runs([folder]))
    if sentence := judged_apart(runs):
        raise RunError(f"{sentence}: name one by its folder.")
    best = best_run(runs)
    if best is None:
        raise RunError(f"None of the runs in {folder} has a dev error rate yet: name one by its folder.")
    return best.folder


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run."""
    return (path / SETTINGS).is_file() and not (path / "recipe.yaml").is_file()


def _counted(runs: Sequence[Path]) -> str:
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
