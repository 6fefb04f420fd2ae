"""What the corpus check finds, the file that keeps it, and manifests without the utterances that have errors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path

from asr.common.documents import read_json
from asr.common.errors import DataError
from asr.common.files import atomic_write_text
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.marks import rewrite
from asr.data.mixture import training_checksum
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.settings.compose import plain
from asr.settings.recipe import Recipe
from asr.settings.root import Config

FINDINGS = "findings.json"
"""Beside the manifests: what the last check found."""
ANOMALY = "anomaly"
"""The kind of findings about transcripts that do not match their audio, according to a trained model."""


class Severity(Enum):
    error = "error"
    warning = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an utterance or a split; prints as one line."""

    severity: Severity
    split: str
    utterance: str
    """Its id; empty for a finding about the whole split."""
    message: str
    kind: str
    """What is wrong, in one or two words."""
    leave_out: tuple[str, str] | None = None
    """The split and the id of the utterance to remove to resolve the error; None for this utterance itself."""

    def __str__(self) -> str:
        return f"{self.severity.value} in {self.split}: {' '.join(self.message.split())}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an utterance, before it is known which one it is."""

    severity: Severity
    kind: str
    message: str

    def about(self, split: str, utterance: Utterance) -> Finding:
        """The finding about an utterance."""
        return Finding(self.severity, split, utterance.id, f"{utterance.place}: {self.message}", self.kind)


def warning(kind: str, message: str) -> Problem:
    """A problem that a training survives, but may suffer from."""
    return Problem(Severity.warning, kind, message)


def error(kind: str, message: str) -> Problem:
    """A problem that a training cannot live with, or that would make its results wrong."""
    return Problem(Severity.error, kind, message)


def errors_among(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that a training cannot live with."""
    return [finding for finding in findings if finding.severity is Severity.error]


def keep_findings(recipe: Recipe, config: Config, findings: Sequence[Finding]) -> None:
    """Writes the findings of a check beside the manifests, and where `check.json` asks for them."""
    checksums, asked = _manifest_checksums(recipe, config), settings_hash(recipe, config)
    for path in (recipe.data(config) / FINDINGS, *([Path(config.check.json)] if config.check.json else [])):
        write_findings(path, findings, checksums, asked)


def earlier_findings(recipe: Recipe, config: Config) -> list[Finding] | None:
    """The findings of an earlier check; None where it was of other manifests or with other settings."""
    path = recipe.data(config) / FINDINGS
    return read_findings(path, _manifest_checksums(recipe, config), settings_hash(recipe, config))


def settings_hash(recipe: Recipe, config: Config) -> str:
    """A hash of everything that findings depend on, except the recipe's own manifests."""
    settings = plain(config)
    augment = {key: settings["augment"][key] for key in ("speed_factors", "tempo_factors")}
    groups = [settings["data"]["sampling_rate"], settings["features"], settings["tokenizer"], augment]
    parts = [training_checksum(recipe, config), *groups, settings["model"]["subsampling"], settings["shards"]["source"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def write_findings(path: Path, findings: Sequence[Finding], checksums: Mapping[str, str], asked: str) -> None:
    """Writes findings as JSON, atomically, with the checksums of the manifests by split, and the `settings_hash`."""
    rows = [{**asdict(finding), "severity": finding.severity.value} for finding in findings]
    content = json.dumps({"manifests": dict(checksums), "asked": asked, "findings": rows}, indent=1, ensure_ascii=False)
    atomic_write_text(path, content + "\n")


def read_findings(path: Path, checksums: Mapping[str, str], asked: str | None = None) -> list[Finding] | None:
    """The findings of an earlier check; None where there was none, or the manifests or the hash differ.

    Where `asked` is None, any hash will do.
    """
    try:
        content = read_json(path)
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


def unwanted(config: Config, findings: Sequence[Finding]) -> list[Finding]:
    """What `check.fix` leaves out: errors, and anomalies of train where `check.fix_anomalies` asks for it, as errors.

    Dev and test keep their anomalies, so that they do not flatter a model.
    """
    anomalies = [one for one in findings if one.kind == ANOMALY and one.split == "train" and one.utterance]
    as_errors = [replace(finding, severity=Severity.error) for finding in anomalies]
    return [*errors_among(findings), *(as_errors if config.check.fix_anomalies else [])]


def leave_out(recipe: Recipe, config: Config, errors: Sequence[Finding]) -> list[tuple[str, str]]:
    """Rewrites the manifests of a recipe without the utterances that have errors.

    As `rewrite` does. Audio that is in two splits is removed from the one that is named first, because a model is
    judged by the others.

    Returns:
        The split and the id of each utterance that is left out.

    Raises:
        DataError: Nothing would be left of a split, or an utterance is in none of the manifests; then nothing is
            written.
    """
    manifests = {split: recipe.manifest(config, split) for split in SPLITS}
    splits = {split: read_manifest(path) for split, path in manifests.items()}
    reasons: dict[tuple[str, str], list[str]] = {}
    for finding in errors:
        reasons.setdefault(finding.leave_out or (finding.split, finding.utterance), []).append(str(finding))
    known = {(split, utterance.id) for split, utterances in splits.items() for utterance in utterances}
    unmatched = [place for place in reasons if place not in known]
    if unmatched:
        split, name = unmatched[0]
        raise DataError(f"{name or 'A finding'} of {split} is in a manifest of another recipe: fix it there.")
    kept = {
        split: [utterance for utterance in utterances if (split, utterance.id) not in reasons]
        for split, utterances in splits.items()
    }
    rewrite(manifests, splits, kept, reasons)
    return list(reasons)


def _manifest_checksums(recipe: Recipe, config: Config) -> dict[str, str]:
    return {split: manifest_checksum(recipe.manifest(config, split)) for split in SPLITS}
