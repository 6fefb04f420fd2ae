"""Predicts what a training will take, by a short trial of it in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from omegaconf import OmegaConf

from asr.composition import plain
from asr.config import Config
from asr.data.shards.audio import open_audio
from asr.errors import ConfigError, RunError
from asr.planning.prediction import Prediction
from asr.recipe import Recipe
from asr.training.building import feature_store, read_splits


def calibrate(recipe: Recipe, config: Config) -> Prediction:
    """Takes some steps of a training and gives what the whole of it will take; leaves no trace but extracted features.

    Under half a minute for a small model, more where steps last seconds.

    Raises:
        ConfigError: It was started as one of several ranks.
        DataError: The corpus is not prepared or cannot be read.
        RunError: The trial failed; says of what.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("A plan is measured in a single process: start it without torchrun.")
    for split, utterances in zip(("train", "dev"), read_splits(recipe, config), strict=True):
        feature_store(recipe, config, split, utterances, open_audio(config.shards, recipe.data(config)))
    with tempfile.TemporaryDirectory(prefix="asr-plan-") as folder:
        settings = Path(folder) / "config.yaml"
        settings.write_text(OmegaConf.to_yaml(OmegaConf.create(plain(config))), encoding="utf-8")
        arguments = [recipe.folder, settings, Path(folder) / "run"]
        trial = subprocess.run(
            [sys.executable, "-m", "asr.planning.measure", *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
        )
    match trial.returncode:
        case 0:
            return Prediction(**json.loads(trial.stdout.splitlines()[-1]))
        case 2:
            raise RunError(trial.stderr.strip().splitlines()[-1])
        case -9:
            raise RunError(
                f"The trial of {config.name} was killed, as happens when memory runs out: lower "
                "batching.max_device_seconds."
            )
        case code:
            raise RuntimeError(f"The trial of {config.name} ended with code {code}:\n{trial.stderr}")
