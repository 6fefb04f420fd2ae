"""Settings of the group `check`."""

from dataclasses import dataclass


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
