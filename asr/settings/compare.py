"""Settings of the group `compare`."""

from dataclasses import dataclass


@dataclass
class CompareConfig:
    """How `asr compare` makes models comparable and what it measures; a training does not depend on it."""

    name: str | None
    """Folder of the comparison and its group in Weights & Biases; null makes it from the models and a hash."""
    parameters: float | None
    """Parameters of every model: model.hidden is chosen to come within 2 % of it. null keeps the sizes."""
    minutes: float | None
    """Training time of every run, dev included (minutes): training.epochs is chosen by a short trial of each model.
    null keeps the epochs."""
    dev_wer: float | None
    """The dev WER (a fraction; the CER where errors are counted in characters) to which training time is measured; null
    takes the lowest that all runs reach."""
    memory_seeds: int
    """Trainings of each model whose reach and WER with limited context are measured, which takes a minute or more for
    each; 0 measures none."""
    jobs: int
    """Trainings at a time; they share the cores, and take turns on the GPUs."""
