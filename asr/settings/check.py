"""Settings of the group `check`."""

from dataclasses import dataclass


@dataclass
class CheckConfig:
    """The doctor. None of it changes a training, but for the manifests that `fix` cleans."""

    json: str | None
    """Write all findings into this file too, as JSON."""
    fix: bool
    """Write the manifests anew without the utterances that have errors; those as they were stay beside them."""
    lines: int
    """Findings of a kind that are printed; the rest of them is counted."""
    model: str | None
    """Folder of a run or of a model that looks for anomalies: transcripts that do not belong to their audio."""
    anomaly: float
    """Score from which a transcript is an anomaly: 0 fits as usual in its split, 1 no better than transcripts of other
    utterances. Lower finds more of what is wrong in part, and more that is right but hard to hear."""
    fix_anomalies: bool
    """check.fix leaves anomalies out of train too; listen to them first."""
