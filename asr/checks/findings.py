"""What the doctor says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from asr.common.files import atomic_write
from asr.data.utterance import Utterance

FINDINGS = "findings.json"
"""Lies beside the manifests: what the last check found."""
ANOMALY = "anomaly"
"""The kind of findings about transcripts that do not belong to their audio, as a trained model hears it."""


class Severity(Enum):
    error = "error"
    warning = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an utterance or a split; prints as one line."""

    severity: Severity
    split: str
    utterance: str
    """Its id; empty where the whole split is meant."""
    message: str
    kind: str
    """What is wrong, in one or two words."""
    leave_out: tuple[str, str] | None = None
    """The split and the id of the utterance without which the error is none; None where it is the one itself."""

    def __str__(self) -> str:
        return f"{self.severity.value} in {self.split}: {' '.join(self.message.split())}"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A finding about an utterance that is yet to be named."""

    severity: Severity
    kind: str
    message: str

    def about(self, split: str, utterance: Utterance) -> Finding:
        """The finding."""
        return Finding(self.severity, split, utterance.id, f"{place_of(utterance)}: {self.message}", self.kind)


def warning(kind: str, message: str) -> Complaint:
    """What a training survives, but may suffer from."""
    return Complaint(Severity.warning, kind, message)


def error(kind: str, message: str) -> Complaint:
    """What a training cannot use, or what would make its results wrong."""
    return Complaint(Severity.error, kind, message)


def place_of(utterance: Utterance) -> str:
    """The utterance and its file, as every sentence begins."""
    return f"Utterance {utterance.id} ({utterance.audio_filepath})"


def write_findings(path: Path, findings: Sequence[Finding], checksums: Mapping[str, str], asked: str) -> None:
    """Writes findings as JSON, whole or not at all.

    Args:
        checksums: Of the manifests that were examined, by split.
        asked: A hash of what else the findings depend on.
    """
    rows = [{**asdict(finding), "severity": finding.severity.value} for finding in findings]
    content = json.dumps({"manifests": dict(checksums), "asked": asked, "findings": rows}, indent=1, ensure_ascii=False)
    with atomic_write(path) as file:
        file.write_text(content + "\n", encoding="utf-8")


def read_findings(path: Path, checksums: Mapping[str, str], asked: str | None = None) -> list[Finding] | None:
    """The findings of an earlier check; None where there was none, or the manifests are others now.

    Args:
        asked: What else the findings must depend on, as `write_findings` got it; None takes any.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["manifests"] != dict(checksums) or asked not in (None, content.get("asked")):
            return None
        return [
            Finding(
                Severity(row["severity"]),
                row["split"],
                row["utterance"],
                row["message"],
                row["kind"],
                None if row["leave_out"] is None else (row["leave_out"][0], row["leave_out"][1]),
            )
            for row in content["findings"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
