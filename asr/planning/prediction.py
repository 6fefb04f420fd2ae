"""Prediction of the time and the memory of a training."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from asr.common.errors import ConfigError, RunError
from asr.settings.compose import plain
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.acoustic_training import AcousticData

MARGIN = 0.2
"""Share of the memory that advice leaves free: a training took up to 1.14 times the prediction, since it has batches of
more shapes."""


@dataclass(frozen=True)
class Prediction:
    """Figures of one training in one process, measured in a short calibration."""

    name: str
    """Name of the run."""
    parameters: int
    """Trainable numbers of the model."""
    multiply_adds_per_second: float
    """For a second of audio, forward pass."""
    epochs: int
    """Passes that are configured."""
    steps: float
    """Optimizer steps in an epoch, mean."""
    audio_seconds: float
    """Audio of an epoch, after speed perturbation (s), mean."""
    padding: float
    """Padding as a share of the audio that is computed in an epoch."""
    training_seconds: float
    """Time of an epoch's steps (s)."""
    validation_seconds: float
    """Time of what follows an epoch: the dev split is decoded, model and checkpoint are saved (s)."""
    output_frames_per_second: float
    """Steps that a recurrent layer takes for a second of audio."""
    peak_bytes: int
    """Peak memory with the planned batches and dev: of the process, or what PyTorch holds of the GPU."""
    batch_seconds: float
    """Padded audio of the largest planned micro-batch (s)."""
    base_bytes: float
    """Peak memory of a micro-batch without audio."""
    bytes_per_second: float
    """What each second of padded audio adds to it."""
    device_bytes: int
    """Memory of the device."""
    hardware: str
    """Processor or GPU."""
    precision: str
    threads: int

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch, validation included (s)."""
        return self.training_seconds + self.validation_seconds

    @property
    def total_seconds(self) -> float:
        """Time of all epochs (s)."""
        return self.epochs * self.epoch_seconds

    def epochs_within(self, seconds: float) -> int:
        """How many epochs end within a time."""
        return int(seconds / self.epoch_seconds)

    def batch_seconds_within(self, memory: float) -> int:
        """The largest `batching.max_device_seconds` (s) that fits a memory (bytes), with `MARGIN` of it left free.

        0 where not even the model fits.
        """
        room = (1 - MARGIN) * memory - self.base_bytes
        return max(0, int(room / self.bytes_per_second))


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
    AcousticData.read(recipe, config).datasets()  # extracts features, which the trial then only opens
    with tempfile.TemporaryDirectory(prefix="asr-plan-") as folder:
        settings = Path(folder) / "config.yaml"
        kept = plain(config)
        kept["shards"]["source"] = config.shards.source  # with credentials: only this user reads it
        settings.write_text(OmegaConf.to_yaml(OmegaConf.create(kept)), encoding="utf-8")
        command = [sys.executable, "-m", "asr.planning.measure", str(recipe.folder), str(settings), f"{folder}/run"]
        trial = subprocess.run(command, check=False, capture_output=True, text=True)
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
