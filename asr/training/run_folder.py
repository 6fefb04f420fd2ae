"""The folder of a run: found again by the same command, locked by one process at a time."""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from asr.common.errors import ConfigError, MaskedFormatter, RunError
from asr.common.files import atomic_write
from asr.lm.ngram import lm_name
from asr.model.folder import MODEL, SETTINGS
from asr.settings.compose import load_config, plain
from asr.settings.hardware import Precision
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.metrics import metrics_path
from asr.training.identity import differing_keys, flat_weight_settings, lm_hash, run_hash

log = logging.getLogger(__name__)

LOCK = ".lock"


@dataclass(frozen=True)
class RunFolder:
    """`paths.runs/RECIPE/NAME-HASH`."""

    path: Path
    config_hash: str
    acoustic: bool = True
    """Whether it is the run of an acoustic model, whose settings are compared with those of its neighbours."""

    @property
    def checkpoints(self) -> Path:
        """The checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The best model."""
        return self.path / MODEL

    @property
    def is_under_way(self) -> bool:
        """Whether a training left a checkpoint here to go on from, or that it ended with."""
        return any(self.checkpoints.glob("*.pt"))

    @contextmanager
    def trained(self, config: Config, restart: bool = False) -> Iterator[None]:
        """Holds the folder as `held` does, for a training, whose settings are kept in config.yaml."""
        with self.held(restart):
            if self.acoustic and not (self.path / SETTINGS).exists():
                self._say_what_differs(config)
            with self._written(), atomic_write(self.path / SETTINGS) as settings:
                settings.write_text(OmegaConf.to_yaml(OmegaConf.create(plain(config))), encoding="utf-8")
            yield

    @contextmanager
    def held(self, restart: bool = False) -> Iterator[None]:
        """Holds the folder for this process, with what is logged in train.log.

        Args:
            restart: Throws away what the folder holds.

        Raises:
            RunError: Another process holds it, or it cannot be written.
        """
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK).open("w")
        with lock:
            try:
                # Not flock, whose locks live on in the loader's processes when this one is killed.
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise RunError(f"{self.path} is in use by another process: wait for it, or set another name.") from None
            if restart:
                self._clear()
            with self._written():
                handler = logging.FileHandler(self.path / "train.log", encoding="utf-8", errors="backslashreplace")
            handler.setFormatter(MaskedFormatter("%(asctime)s %(levelname)s %(message)s"))
            logging.getLogger("asr").addHandler(handler)
            try:
                yield
            finally:
                logging.getLogger("asr").removeHandler(handler)
                handler.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"The run folder {self.path} cannot be written ({error.strerror}: {error.filename}); set paths.runs."
            ) from None

    def _clear(self) -> None:
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()

    def _say_what_differs(self, config: Config) -> None:
        if nearest := nearest_run(self, config):
            path, keys = nearest
            different = ", ".join(f"{key}={here!r} (there {there!r})" for key, (there, here) in keys.items())
            log.info(
                "A new run. The closest existing run, %s, differs in %s.",
                path.name,
                different or "its data or its precision",
            )


def find_run_folder(recipe: Recipe, config: Config, precision: Precision) -> RunFolder:
    """The folder of the run that a configuration describes.

    Raises:
        ConfigError, RunError: As of `run_hash`.
    """
    digest = run_hash(recipe, config, precision)
    return RunFolder(Path(config.paths.runs).absolute() / recipe.name / f"{config.name}-{digest}", digest)


def find_lm_folder(recipe: Recipe, config: Config, precision: Precision) -> RunFolder:
    """The folder of the recurrent language model that a configuration describes: `paths.runs/RECIPE/lm/NAME-HASH`.

    Args:
        config: As of `lm_hash`.

    Raises:
        ConfigError, DataError: As of `lm_hash`.
    """
    digest = lm_hash(recipe, config, precision)
    place = Path(config.paths.runs).absolute() / recipe.name / "lm" / f"{lm_name(config.lm)}-{digest}"
    return RunFolder(place, digest, acoustic=False)


def nearest_run(folder: RunFolder, config: Config) -> tuple[Path, dict[str, tuple[Any, Any]]] | None:
    """The run of the same recipe whose settings differ in the fewest keys, and each key's value there and here."""
    here = flat_weight_settings(config)
    nearest: tuple[Path, dict[str, tuple[Any, Any]]] | None = None
    for settings in sorted(folder.path.parent.glob(f"*/{SETTINGS}")):
        if settings.parent == folder.path or not metrics_path(settings.parent).exists():
            continue
        try:
            there = flat_weight_settings(load_config(settings))
        except ConfigError:
            continue  # of an earlier version, or damaged
        keys = differing_keys(here, there)
        if nearest is None or len(keys) < len(nearest[1]):
            nearest = settings.parent, {key: (there.get(key), here.get(key)) for key in keys}
    return nearest
