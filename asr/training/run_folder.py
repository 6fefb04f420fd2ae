"""The folder of a run: found again by the same command, locked by one process at a time."""

import fcntl
import logging
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.common.errors import ConfigError, MaskedFormatter, RunError, asr_command, listed
from asr.common.files import atomic_write, require_own
from asr.lm.ngram import lm_name
from asr.scoring.provenance import kept_identity
from asr.settings.compose import as_yaml, load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import MODEL, SETTINGS, Recipe, runs_in
from asr.settings.root import Config
from asr.tracking.metrics import metrics_path
from asr.training.identity import differing_keys, flat_weight_settings, lm_hash, run_hash

log = logging.getLogger(__name__)

LOCK = ".lock"
REPORTED = ".reported"
"""Is in the folder of a run whose tracker was closed after the last step; W&B may lack rows of one killed before."""
CONFIG_HASH = "config_hash"


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
    def lock(self) -> tuple[int, int] | None:
        """Identifies the lock file that `held` makes; None where there is none, as in a folder that was deleted."""
        try:
            status = (self.path / LOCK).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    @property
    def is_under_way(self) -> bool:
        """Whether a training left a checkpoint here to go on from, or that it ended with."""
        return any(self.checkpoints.glob("*.pt"))

    @property
    def is_held(self) -> bool:
        """Whether another process holds it, which looks at the lock without taking it."""
        if not (self.path / LOCK).is_file():  # a pipe would block
            return False
        try:
            with (self.path / LOCK).open("rb") as lock:
                asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                (found, *_) = struct.unpack("hhqqi4x", fcntl.fcntl(lock, fcntl.F_GETLK, asked))
        except OSError:  # a file system that has no locks
            return False
        return bool(found != fcntl.F_UNLCK)

    @contextmanager
    def trained(self, config: Config, restart: bool = False) -> Iterator[None]:
        """Holds the folder as `held` does, for a training, whose settings are kept in config.yaml."""
        with self.held(restart):
            if self.acoustic and not (self.path / SETTINGS).exists():
                self._say_what_differs(config)
            with self._written(), atomic_write(self.path / SETTINGS) as settings:
                settings.write_text(as_yaml(config), encoding="utf-8")
            yield

    @contextmanager
    def held(self, restart: bool = False) -> Iterator[None]:
        """Holds the folder for this process, with what is logged in train.log.

        Args:
            restart: Throws away what the folder holds.

        Raises:
            RunError: Another process holds it, or it cannot be written, or has links that lead out of it.
        """
        require_own(self.path)
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
        if neighbours := runs_beside(self, config):
            path, keys = neighbours[0]
            different = ", ".join(f"{key}={here!r} (there {there!r})" for key, (there, here) in keys.items())
            log.info(
                "A new run. The closest existing run, %s, differs in %s.",
                path.name,
                different or "its data or its precision",
            )


def find_run_folder(recipe: Recipe, config: Config, precision: Precision) -> RunFolder:
    """The folder of the run that a configuration describes, or that the recipe stands for.

    Raises:
        ConfigError: A setting is not that of the run that the recipe stands for; or as of `run_hash`.
        RunError: As of `run_hash`.
    """
    if recipe.run is not None:
        refuse_other_settings(recipe.run, config)
        return RunFolder(recipe.run, hash_of(recipe.run))
    digest = run_hash(recipe, config, precision)
    return RunFolder(Path(config.paths.runs).absolute() / recipe.name / f"{config.name}-{digest}", digest)


def as_begun(run: Path, config: Config, resolved: Precision, digest: Callable[[Precision], str]) -> Config:
    """A configuration that resumes a run, with the precision that the run was begun with.

    Args:
        resolved: The precision on this machine, where another may be the automatic one.
        digest: The hash of the settings and the data with a precision.

    Raises:
        ConfigError: Another precision was asked for.
        RunError: The data is not that of the run.
    """
    candidates = dict.fromkeys([resolved, *(one for one in Precision if one is not Precision.auto)])
    found = next((one for one in candidates if digest(one) == hash_of(run)), None)
    if found is None:
        if not re.fullmatch("[0-9a-f]{8}", hash_of(run)):
            raise RunError(f"{run} keeps no hash, and its name has none: give it the name back that it was begun with.")
        raise RunError(
            f"{run} was trained with other settings or data than there are now: bring them back, or give the recipe in "
            "place of the run, which trains another."
        )
    given = config.hardware.precision
    if given not in (Precision.auto, found):
        raise ConfigError(f"{run} is trained in {found.name}: leave out hardware.precision={given.name}.")
    return replace(config, hardware=replace(config.hardware, precision=found))


def hash_of(run: Path) -> str:
    """The hash of the run in a folder: the one that it keeps, or where it is older the end of its name."""
    return kept_identity(run).get(CONFIG_HASH) or run.name.rpartition("-")[2]


def refuse_other_settings(run: Path, config: Config) -> None:
    """Raises ConfigError for settings that would train other weights than those of a run."""
    here, there = flat_weight_settings(config), flat_weight_settings(load_config(run / SETTINGS))
    if keys := differing_keys(here, there):
        values = ", ".join(f"{key}={here.get(key)} (there {there.get(key)})" for key in keys)
        raise ConfigError(
            f"{values} would make another run than {run}: leave it out, or give the recipe in place of the run."
        )


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


Difference = dict[str, tuple[Any, Any]]
"""The settings in which two runs differ: the value there and here."""


def runs_beside(folder: RunFolder, config: Config) -> list[tuple[Path, Difference]]:
    """The other runs of a recipe that were begun, those first whose settings differ in the fewest keys."""
    here = flat_weight_settings(config)
    found: list[tuple[Path, Difference]] = []
    for run in runs_in(folder.path.parent):
        if run == folder.path or not metrics_path(run).exists():
            continue
        try:
            there = flat_weight_settings(load_config(run / SETTINGS))
        except ConfigError:
            continue  # of an earlier version, or damaged
        keys = differing_keys(here, there)
        found.append((run, {key: (there.get(key), here.get(key)) for key in keys}))
    return sorted(found, key=lambda one: len(one[1]))


def no_model(recipe: Recipe, config: Config, folder: RunFolder) -> RunError:
    """Says that there is no model to evaluate, which runs there are, and how they differ."""
    if metrics_path(folder.path).exists():
        return RunError(f"The run {folder.path} has no model yet: {asr_command('train', folder.path)} resumes it.")
    beside = runs_beside(folder, config)
    train = "`asr train RECIPE`"
    if not beside:
        return RunError(f"There is no run of {recipe.name} in {folder.path.parent}: {train} makes one.")
    hashes = {run_hash(recipe, config, one): one for one in Precision if one is not Precision.auto}
    there = [f"{path.name} ({_described(keys, hashes.get(hash_of(path)))})" for path, keys in beside]
    return RunError(
        f"No run of {recipe.name} has these settings, but there {'are' if len(beside) > 1 else 'is'} "
        f"{listed(there, '; ')}: give one of them, as in {asr_command('evaluate', beside[0][0])}, or train with these "
        f"settings: {train}; {asr_command('runs', folder.path.parent)} shows all."
    )


def _described(keys: Difference, precision: Precision | None) -> str:
    """In what a run differs from what was asked for."""
    if not keys:
        return f"hardware.precision={precision.name}" if precision else "trained on other data"
    return listed([f"{key}={there}, here {here}" for key, (there, here) in keys.items()], "; ")
