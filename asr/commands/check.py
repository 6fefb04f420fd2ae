"""`asr check`: looks for mistakes in the prepared corpus before a training meets them."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asr.checks.corpus import check_corpus, refuse_errors
from asr.checks.findings import (
    Finding,
    Severity,
    earlier_findings,
    errors_among,
    keep_findings,
    leave_out,
    unwanted,
)
from asr.commands.remedies import filled
from asr.common.tables import table
from asr.data.marks import LEFT_OUT, apply_marks, read_marks
from asr.data.mixture import read_split
from asr.data.splits import SPLITS
from asr.settings.recipe import Recipe
from asr.settings.root import Config

if TYPE_CHECKING:
    from asr.inference.recognizer import Recognizer


def run(recipe: Recipe, config: Config) -> None:
    """Decodes every utterance, prints findings, a table of their kinds and a summary, and keeps them all.

    With check.model, a model recognizes what has no errors, and tells which transcripts do not match their audio. With
    check.fix, what is marked is done first.
    """
    if config.check.fix:
        manifests = {split: recipe.manifest(config, split) for split in SPLITS}
        marks = read_marks([recipe.folder, recipe.data(config)])
        for split, name in apply_marks(manifests, marks):
            print(f"{'left out of' if marks[name].text is None else 'another transcript in'} {split}: {name} (marked)")
    splits = {split: read_split(recipe, config, split) for split in SPLITS}
    findings = check_corpus(recipe, config, splits, _recognizer(config))
    _print(findings, config.check.lines)
    print(f"{recipe.name}: {sum(map(len, splits.values()))} utterances examined, {_counts(findings)}.")
    keep_findings(recipe, config, findings)
    removable = unwanted(config, findings)
    if not config.check.fix or not removable:
        refuse_errors(recipe, findings)
        return
    removed = leave_out(recipe, config, removable)
    for split, name in removed:
        print(f"left out of {split}: {name}")
    print(
        f"{recipe.name}: {len(removed)} utterances are left out; the reasons are in {recipe.data(config) / LEFT_OUT}."
    )


def run_once(recipe: Recipe, config: Config) -> None:
    """As `run`, unless an earlier check of the same manifests with the same requirements found no error.

    What may have changed since then, the headers of the files, a training reads before its first step.
    """
    found = earlier_findings(recipe, config)
    if found is None or errors_among(found) or config.check.model is not None or config.check.json is not None:
        run(recipe, config)
    else:
        again = filled("`asr check RECIPE` examines everything again")
        print(f"{recipe.name}: checked before, {_counts(found)}; {again}.")


def _print(findings: Sequence[Finding], lines: int) -> None:
    """Findings, the first of each kind, and a table of the kinds where there are several."""
    kinds: Counter[tuple[str, str]] = Counter()
    for finding in findings:
        kinds[finding.severity.value, finding.kind] += 1
        if kinds[finding.severity.value, finding.kind] <= lines:
            print(finding)
    hidden = sum(max(0, count - lines) for count in kinds.values())
    if hidden:
        print(f"{hidden} more of these kinds: check.lines prints more, check.json=FILE writes all.")
    if len(kinds) > 1:
        counted = sorted(kinds.items(), key=lambda item: (item[0][0], -item[1]))
        print(table(("severity", "findings", "kind"), [(severity, n, kind) for (severity, kind), n in counted], "lrl"))


def _counts(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counts[kind]} {kind.value}{'' if counts[kind] == 1 else 's'}" for kind in Severity)


def _recognizer(config: Config) -> "Recognizer | None":
    if config.check.model is None:
        return None
    from asr.checks.anomalies import open_recognizer
    from asr.training.hardware import resolve_hardware

    return open_recognizer(config, str(resolve_hardware(config.hardware).device))
