"""Settings of the groups `plan`, `compare`, `check` and `listen`, which only the command of that name reads."""

from dataclasses import dataclass


@dataclass
class PlanConfig:
    """The budget of a training, for the advice of `asr plan`; a training does not depend on it."""

    memory_gb: float | None
    """Memory that the training may use (GB); null is all that the device has."""
    minutes: float | None
    """Time that the training may take (min); null is as long as its epochs take."""


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
    """The dev WER (a fraction) to which training time is measured; null takes the lowest that all runs reach."""
    memory_seeds: int
    """Trainings of each model whose reach and WER with limited context are measured, which takes a minute or more for
    each; 0 measures none."""
    jobs: int
    """Trainings at a time; they share the cores, and take turns on the GPUs."""


@dataclass
class CheckConfig:
    """The corpus check. None of it changes a training, except that `fix` cleans the manifests."""

    json: str | None
    """Write all findings into this file too, as JSON."""
    fix: bool
    """Rewrite the manifests without the utterances that have errors; the originals stay beside them."""
    lines: int
    """Findings of each kind that are printed; the rest is counted."""
    model: str | None
    """Folder of a run or of a model that looks for anomalies: transcripts that do not match their audio."""
    anomaly: float
    """Score from which a transcript is an anomaly: 0 fits as usual in its split, 1 no better than transcripts of other
    utterances. Lower finds more that are partly wrong, and more that are right but hard to recognize."""
    fix_anomalies: bool
    """With check.fix, leave anomalies out of train too; listen to them first."""


@dataclass
class ListenConfig:
    """What `asr listen` writes."""

    utterances: int
    """Utterances of train, always the same ones."""
    epochs: int
    """Epochs whose augmentation is written: the first ones of a training with the same seed."""
    folder: str | None
    """Where the page is written; null is paths.runs/RECIPE/listen."""
