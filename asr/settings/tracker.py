"""Settings of the group `tracker`."""

from dataclasses import dataclass
from enum import Enum


class TrackerMode(Enum):
    auto = "auto"
    online = "online"
    offline = "offline"
    disabled = "disabled"


class Recorder(Enum):
    tensorboard = "tensorboard"
    mlflow = "mlflow"


@dataclass
class TrackerConfig:
    mode: TrackerMode
    """Weights & Biases: auto is online with a login, else offline."""
    project: str
    """Project in Weights & Biases."""
    entity: str | None
    """User or team in Weights & Biases; null is the account's default."""
    name: str | None
    """Name of the training in Weights & Biases; null is that of the run's folder."""
    group: str | None
    """Group of runs in Weights & Biases, such as the seeds of one experiment."""
    tags: list[str]
    """Tags of the run."""
    notes: str | None
    """A line about the run."""
    job_type: str | None
    """Job type of the run in Weights & Biases; null is the command, as in train."""
    panel_utterances: int
    """Utterances of dev whose hypotheses are logged after every epoch, in panel.jsonl; the same in every run."""
    worst_utterances: int
    """Rows in the table of the worst utterances, with audio; 0 logs no table."""
    upload_model: bool
    """Upload the best model as an artifact."""
    also: list[Recorder]
    """Trackers that get the same beside Weights & Biases: tensorboard, in the run folder, and mlflow, where
    MLFLOW_TRACKING_URI says."""
