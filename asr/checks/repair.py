"""Cleaned manifests: without the utterances that have errors."""

import json
from collections.abc import Sequence
from dataclasses import replace

from asr.checks.findings import ANOMALY, Finding, Severity, errors_among
from asr.common.errors import DataError
from asr.data.manifest import read_manifest, write_manifest
from asr.data.splits import SPLITS
from asr.settings.recipe import Recipe
from asr.settings.root import Config

LEFT_OUT = "left_out.jsonl"


def unwanted(config: Config, findings: Sequence[Finding]) -> list[Finding]:
    """What `check.fix` leaves out: errors, and anomalies of train where `check.fix_anomalies` asks for it, as errors.

    Dev and test keep their anomalies, so that they do not flatter a model.
    """
    anomalies = [one for one in findings if one.kind == ANOMALY and one.split == "train" and one.utterance]
    as_errors = [replace(finding, severity=Severity.error) for finding in anomalies]
    return [*errors_among(findings), *(as_errors if config.check.fix_anomalies else [])]


def leave_out(recipe: Recipe, config: Config, errors: Sequence[Finding]) -> list[tuple[str, str]]:
    """Rewrites the manifests of a recipe without the utterances that have errors.

    Each manifest as it was stays beside it as SPLIT.original.jsonl; left_out.jsonl says what was removed and why. Audio
    that is in two splits is removed from the one that is named first, because a model is judged by the others.

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
    for split, utterances in kept.items():
        if not utterances:
            raise DataError(f"Every utterance of {split} has an error: check.fix would leave nothing of it.")
    for split, utterances in kept.items():
        if len(utterances) < len(splits[split]):
            original = manifests[split].with_name(f"{split}.original.jsonl")
            if not original.exists():
                write_manifest(original, splits[split])
            write_manifest(manifests[split], utterances)
            with (manifests[split].parent / LEFT_OUT).open("a", encoding="utf-8") as lines:
                for (place, name), why in reasons.items():
                    if place == split:
                        lines.write(json.dumps({"split": split, "id": name, "reasons": why}, ensure_ascii=False) + "\n")
    return list(reasons)
