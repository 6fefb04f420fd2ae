"""Settings of the group `compare`."""

from dataclasses import dataclass


@dataclass
class CompareConfig:
    """How `asr compare` holds models equal and what it measures; a training does not depend on it."""

    name: str | None
    """Folder of the comparison and its group in Weights & Biases; null makes one of the models and a hash."""
    parameters: float | None
    """Parameters of every model: model.hidden is chosen to come within 2 % of it. null takes the sizes as they are."""
    minutes: float | None
    """Training time of every run, dev included (minutes): training.epochs is chosen by a short trial of each model.
    null takes the epochs as they are."""
    dev_wer: float | None
    """The dev WER (a fraction) that the time to reach it is measured to; null takes the lowest that all runs reach."""
    memory_seeds: int
    """Trainings of each model whose reach and WER with a cut context are measured, which takes a minute or more for
    each; 0 measures none."""
    jobs: int
    """Trainings at a time; they share the cores, and take turns on the GPUs."""
