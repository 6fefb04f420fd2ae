"""The folder of a run: found again by the same command, held by one process at a time."""

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_write
from asr.data.manifest import manifest_checksum
from asr.data.mixture import training_checksum
from asr.features.perturbation import active_folders
from asr.features.recordings import recordings_checksum
from asr.settings.compose import load_config, plain
from asr.settings.hardware import Precision, arithmetic
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.settings.tokenizer import TokenizerKind
from asr.text.tokenizer import OF_PHONES, tokenizer_identity
from asr.tracking.metrics import metrics_path
from asr.training.fine_tuning import weights_checksum

log = logging.getLogger(__name__)

NOT_IN_HASH = (
    "name", "paths", "tracker", "hardware", "cluster", "decoder", "lm", "evaluation", "plan", "compare",
    "check", "text", "listen", "pack", "shards",
)  # fmt: skip
OF_THE_START = ("restart", "max_lost_utterances")
"""Keys of `training` that change no weights."""
PREPARATION = ("source", "format", "columns", "held_out", "convert")
"""Keys of `data` that only make the manifests, whose checksums are in the hash."""
LATER_AUGMENTATION = ("reverb", "background", "babble", "telephone")
SETTINGS = "config.yaml"
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
        return self.path / "model"

    @property
    def is_under_way(self) -> bool:
        """Whether a training left a checkpoint here to go on from, or that it ended with."""
        return any(self.checkpoints.glob("*.pt"))

    @contextmanager
    def trained(self, config: Config, restart: bool = False) -> Iterator[None]:
        """Holds the folder as `held` does, for a training, whose settings are kept in config.yaml.

        Args:
            restart: Throws away what the folder holds.

        Raises:
            RunError: Another process holds it, or it cannot be written.
        """
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
                raise RunError(f"Another process is at work in {self.path}; wait for it, or change the name.") from None
            if restart:
                self._clear()
            with self._written():
                handler = logging.FileHandler(self.path / "train.log", encoding="utf-8")
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
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
        nearest = nearest_run(self, config)
        if nearest is None:
            return
        path, keys = nearest
        differences = ", ".join(f"{key}={here!r} (there {there!r})" for key, (there, here) in keys.items())
        log.info("A new run. The nearest, %s, differs in %s.", path.name, differences or "its data or its precision")


def find_run_folder(recipe: Recipe, config: Config, precision: Precision) -> RunFolder:
    """The folder of the run that a configuration describes.

    Its hash is of all that determines the trained weights: the settings, the resolved precision and the checksums of
    the train and dev manifests and of the model that is fine-tuned.

    Raises:
        RunError: There is no model to fine-tune where the configuration says.
    """
    identity = _identity(plain(config)) | {
        "tokenizer": tokenizer_identity(config.tokenizer),
        "precision": arithmetic(precision, config.hardware.tf32),
        "manifests": {
            "train": training_checksum(recipe, config),
            "dev": manifest_checksum(recipe.manifest(config, "dev")),
        },
    }
    if config.training.init_from is not None:
        identity["training"]["init_from"] = weights_checksum(config.training.init_from)
    for name, folders in active_folders(config.augment).items():
        identity["augment"][name]["folders"] = recordings_checksum(folders, f"augment.{name}.folders")
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return RunFolder(Path(config.paths.runs).absolute() / recipe.name / f"{config.name}-{digest}", digest)


def nearest_run(folder: RunFolder, config: Config) -> tuple[Path, dict[str, tuple[Any, Any]]] | None:
    """The run beside this one whose settings differ in the fewest keys, and each key's value there and here."""
    here = _flat(_identity(plain(config)))
    nearest: tuple[Path, dict[str, tuple[Any, Any]]] | None = None
    for settings in sorted(folder.path.parent.glob(f"*/{SETTINGS}")):
        if settings.parent == folder.path or not metrics_path(settings.parent).exists():
            continue
        try:
            there = _flat(_identity(plain(load_config(settings))))
        except ConfigError:
            continue  # of an earlier version, or damaged
        keys = [key for key in here | there if here.get(key) != there.get(key)]
        if nearest is None or len(keys) < len(nearest[1]):
            nearest = settings.parent, {key: (there.get(key), here.get(key)) for key in keys}
    return nearest


def _identity(settings: Any) -> dict[str, Any]:
    kept = {key: value for key, value in settings.items() if key not in NOT_IN_HASH}
    kept["training"] = {key: value for key, value in kept["training"].items() if key not in OF_THE_START}
    kept["data"] = {key: value for key, value in kept["data"].items() if key not in PREPARATION}
    if kept["tokenizer"]["kind"] != TokenizerKind.phone.name:
        kept["tokenizer"] = {key: value for key, value in kept["tokenizer"].items() if key not in OF_PHONES}
    kept["augment"] = _without_what_is_off(kept["augment"])
    return kept


def _without_what_is_off(augment: dict[str, Any]) -> dict[str, Any]:
    """Augmentation that came later than runs that keep their names counts only where it does something."""
    kept = {
        name: value for name, value in augment.items() if name not in LATER_AUGMENTATION or value["probability"] > 0
    }
    if set(kept["tempo_factors"]) == {1.0}:
        del kept["tempo_factors"]
    if kept["spec_augment"]["time_masks_per_second"] is None:
        kept["spec_augment"] = {
            key: value for key, value in kept["spec_augment"].items() if key != "time_masks_per_second"
        }
    return kept


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
