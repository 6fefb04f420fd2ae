"""Cleaned manifests: without the utterances that have errors."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr.checks.findings import Finding, Severity
from asr.common.errors import DataError
from asr.data.manifest import write_manifest
from asr.data.utterance import Utterance

LEFT_OUT = "left_out.jsonl"


def leave_out(
    splits: Mapping[str, Sequence[Utterance]], findings: Sequence[Finding], manifests: Mapping[str, Path]
) -> list[tuple[str, str]]:
    """Writes the manifests anew without the utterances that have errors.

    Each manifest as it was stays beside it as SPLIT.original.jsonl; left_out.jsonl says what is gone and why. Of audio
    that is in two splits it goes from the one that is named first, since a model is judged by the others.

    Args:
        splits: Everything that stands in the manifests.
        findings: Those of errors are heeded.
        manifests: Of each split.

    Returns:
        The split and the id of each utterance that is left out.

    Raises:
        DataError: Nothing would be left of a split, or an error is no utterance's own; then nothing is written.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        if finding.severity is Severity.error:
            reasons.setdefault(finding.leave_out or (finding.split, finding.utterance), []).append(str(finding))
    known = {(split, utterance.id) for split, utterances in splits.items() for utterance in utterances}
    homeless = [place for place in reasons if place not in known]
    if homeless:
        split, name = homeless[0]
        raise DataError(f"{name or 'A finding'} of {split} stands in a manifest of another recipe: mend it there.")
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
