"""A finished run, opened once: its settings, its recipe, its recognizer, and where its results are."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from asr.common.errors import ConfigError, RunError
from asr.decoding.search import tuning_folder
from asr.inference.recognizer import Recognizer, load
from asr.model.folder import model_folder
from asr.scoring.results import evaluation_folder
from asr.settings.compose import load_config
from asr.settings.recipe import MODEL, SETTINGS, Recipe
from asr.settings.root import Config
from asr.settings.runs import data_root


@dataclass(frozen=True)
class FinishedRun:
    """The run of a trained model. The folder of a run is `paths.runs/RECIPE/NAME-HASH`."""

    model: Path
    """Its model folder."""
    data: str | None = None
    """Where the corpus is now, as `paths.data`; None is where the settings say."""

    @classmethod
    def at(cls, run: Path, data: str | None = None) -> Self:
        """The run in a folder; whether there is one shows when it is used."""
        return cls(run / MODEL, data)

    @classmethod
    def of_model(cls, path: str | Path, given_as: str) -> Self:
        """The run that a user names, by a key or an argument, by its folder or by that of its model.

        Raises:
            RunError: There is no model.
        """
        return cls(model_folder(path, given_as))

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.model.absolute().parent

    @cached_property
    def config(self) -> Config:
        """The settings of the run, read once.

        Raises:
            ConfigError: There are none, or they are damaged.
        """
        config = load_config(self.path / SETTINGS)
        config.paths.data = self.data or str(data_root(self.path, config) or config.paths.data)
        return config

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run, which the folder above it names."""
        return Recipe(Path(self.path.parent.name))

    def recognizer(self, device: str = "cpu", *, labels_frames: bool = False) -> Recognizer:
        """Loads the model.

        Args:
            labels_frames: Whether a model is wanted that labels frames, and no recognizer.

        Raises:
            RunError: There is no model, a file of it is damaged, or it is one of the other kind.
        """
        found = load(model_folder(self.model, "RUN"), device)
        if found.config.tokenizer.kind.labels_frames is not labels_frames:
            kinds = ("recognizes words", "labels frames as speech or not (tokenizer=speech)")
            raise RunError(f"The model {self.model} {kinds[not labels_frames]}: give one that {kinds[labels_frames]}.")
        return found

    def evaluation(self, split: str, decoder: str) -> Path:
        """Where the results of a split with a decoder are."""
        return evaluation_folder(self.path, split, decoder)

    def tuning(self, key: str) -> Path:
        """Where `asr tune` keeps the weights that it found with language models; key as of `tuning_key`."""
        return tuning_folder(self.path, key)

    def calibration(self, split: str) -> Path:
        """Where `asr calibrate` keeps what it measured on a split."""
        return self.path / "calibration" / split

    def require_unseen_dev(self, verb: str) -> None:
        """Makes sure that the dev split is speech that the model was not trained on; else a ConfigError says to `verb`
        another run."""
        if self.config.training.with_dev:
            raise ConfigError(f"This run was trained on dev, which says nothing about other speech: {verb} another.")
