"""Recipes: a folder with a recipe.yaml, anywhere, or the name of a shipped one."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from asr.common.errors import ConfigError, DataError, UserError
from asr.settings.root import Config

PACKAGE = Path(__file__).parent.parent
# In a wheel the folders lie inside the package, in a checkout beside it.
SHIPPED = next((root for root in (PACKAGE, PACKAGE.parent) if (root / "conf").is_dir()), PACKAGE)
CONF = SHIPPED / "conf"
RECIPES = SHIPPED / "recipes"
SETTINGS = "config.yaml"
"""The settings of a run, in its folder."""
MODEL = "model"
"""In the folder of a run, that of its best model."""


@dataclass(frozen=True)
class Recipe:
    """A recipe's folder: recipe.yaml, prepare.py, README.md and results/."""

    folder: Path
    run: Path | None = None
    """The run that a command was given in place of a recipe: its settings are the configuration."""

    @property
    def name(self) -> str:
        """The folder's name, which names the recipe's data and runs too."""
        return self.folder.name

    def manifest(self, config: Config, split: str) -> Path:
        """Where the manifest of a split (train, dev or test) lies."""
        return self.data(config) / f"{split}.jsonl"

    def data(self, config: Config) -> Path:
        """The folder of everything that is made from the corpus."""
        return Path(config.paths.data).absolute() / self.name

    def prepare(self, config: Config, archives: Path) -> None:
        """Runs the recipe's own `prepare(config, archives, output)`.

        Raises:
            ConfigError: The recipe has no such function, or it is in error.
            DataError: A file is missing or cannot be written, or another fault that the function finds.
        """
        module = self.script()
        if not callable(getattr(module, "prepare", None)):
            raise ConfigError(f"{module.__file__} has no function prepare(config, archives, output).")
        try:
            with self._errors_with_lines():
                module.prepare(config, archives, self.data(config))
        except OSError as error:
            raise DataError(f"The corpus of {self.name} cannot be prepared in {self.data(config)}: {error}.") from None

    def script(self) -> ModuleType:
        """The recipe's prepare.py as a module, which other recipes may build on. It may import files beside it.

        Raises:
            ConfigError: There is none, or it is in error.
        """
        if not self._script.is_file():
            raise ConfigError(f"The recipe {self.name} has no {self._script}, which makes the manifests of the corpus.")
        spec = importlib.util.spec_from_file_location(f"recipe_{self.name}", self._script)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        if str(self.folder) not in sys.path:
            sys.path.append(str(self.folder))
        with self._errors_with_lines():
            spec.loader.exec_module(module)
        return module

    @property
    def _script(self) -> Path:
        return self.folder / "prepare.py"

    @contextmanager
    def _errors_with_lines(self) -> Iterator[None]:
        """Authors of recipes see the line of their own script that is in error instead of our stack."""
        try:
            yield
        except (UserError, OSError):
            raise
        except Exception as error:
            lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(self._script)]
            line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
            what = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"
            raise ConfigError(
                f"{self._script}, line {line}: {what}: correct the script, or the file it reads."
            ) from None


def prepared_elsewhere(manifest: Path, *places: Path) -> Path | None:
    """`paths.data` of another folder in which the same manifest lies: of one above or below this one, of the checkout,
    or of one above or below some places; None where none of them has it."""
    data, recipe, name = manifest.absolute().parts[-3:]
    beside = Path(data, recipe, name)
    known = [*Path.cwd().parents, SHIPPED, *(near for place in places for near in (place, *place.parents))]
    for folder in known:
        if (folder / beside).is_file() and folder / beside != manifest.absolute():
            return folder / data
    return next((found.parents[1] for found in sorted(Path.cwd().glob(f"*/{beside}"))), None)


def runs_in(folder: Path) -> list[Path]:
    """The run folders that a folder holds, by their settings; none where there is no such folder. A model, which is in
    a run and has settings too, is none."""
    return sorted(file.parent for file in folder.glob(f"*/{SETTINGS}") if file.parent.name != MODEL)


def find_recipe(name: str) -> Recipe:
    """Finds a recipe by its folder or, for a shipped one, its name.

    Raises:
        ConfigError: There is none, then it names those that are shipped; or its recipe.yaml is not in UTF-8.
    """
    for folder in (Path(name), RECIPES / name):
        settings = folder / "recipe.yaml"
        if settings.is_file():
            try:
                settings.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError(f"{settings} is not in UTF-8 ({error.reason}): save it as such.") from None
            return Recipe(folder.resolve())
    shipped = ", ".join(sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml")))
    raise ConfigError(
        f"No recipe at {name!r}: give a folder with a recipe.yaml, or one of the shipped: {shipped}; or a run, by its "
        "folder, its hash, or as RECIPE/best."
    )
