"""Settings of the group `evaluation`."""

from dataclasses import dataclass
from enum import Enum


class Combine(Enum):
    frames = "frames"
    hypotheses = "hypotheses"


@dataclass
class EvaluationConfig:
    """What `asr evaluate` decodes."""

    splits: list[str]
    """Splits, by the names of their manifests; dev is left out of a run that was trained on it."""
    models: list[str]
    """Further runs or model folders that form an ensemble with the run."""
    combine: Combine
    """frames averages their log-probabilities frame by frame, for any decoder; hypotheses merges the n-best lists of
    beam searches with each of them, and rescores every hypothesis with all."""
    alignment_model: str | None
    """A bidirectional run or model folder that says when each word of the references ends: for a model of one
    direction, how long after that a stream has written it is measured too. null measures no delay."""
