"""`asr check`: looks for mistakes in the prepared corpus before a training meets them."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.checks.corpus import UNREADABLE, Finding, Requirements, Severity, examine, mistakes
from asr.checks.findings import ANOMALY, FINDINGS, read_findings, write_findings
from asr.checks.repair import LEFT_OUT, leave_out
from asr.common.errors import DataError
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.mixture import read_split, training_checksum
from asr.data.sequences import Field
from asr.data.shards.reader import open_audio
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.features.augment import perturbed_samples
from asr.features.extractor import frame_count
from asr.model.subsampling import output_length
from asr.settings.compose import plain
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from asr.inference.recognizer import Recognizer

log = logging.getLogger(__name__)


def run(recipe: Recipe, config: Config) -> None:
    """Decodes every utterance, prints findings, a table of their kinds and a summary, and stores them all.

    With check.model, a model hears what has no errors, and says which transcripts do not belong to their audio.

    Raises:
        RunError: There is no such model.
        DataError: There are errors that are not left out.
    """
    splits = {split: read_split(recipe, config, split) for split in SPLITS}
    audio = open_audio(config.shards, recipe.data(config))
    audio.verify()
    recognizer = _recognizer(config)
    findings = examine(splits, requirements(config, splits["train"]), audio=audio)
    if recognizer is not None:
        from asr.checks.model_based import find_anomalies

        errors = _errors(findings)
        anomalies = find_anomalies(recipe, config, recognizer, splits, errors, audio)
        findings = [*errors, *anomalies, *(finding for finding in findings if finding not in errors)]
    _print(findings, config.check.lines)
    print(f"{recipe.name}: {sum(map(len, splits.values()))} utterances examined, {_counts(findings)}.")
    checksums, asked = _checksums(recipe, config), _asked(recipe, config)
    for path in (recipe.data(config) / FINDINGS, *([Path(config.check.json)] if config.check.json else [])):
        write_findings(path, findings, checksums, asked)
    unwanted = _unwanted(config, findings)
    if config.check.fix and unwanted:
        manifests = {split: recipe.manifest(config, split) for split in SPLITS}
        gone = leave_out({split: read_manifest(path) for split, path in manifests.items()}, unwanted, manifests)
        for split, name in gone:
            print(f"left out of {split}: {name}")
        print(f"{recipe.name}: {len(gone)} utterances are left out, for reasons in {recipe.data(config) / LEFT_OUT}.")
        return
    _refuse_errors(recipe, findings)


def run_once(recipe: Recipe, config: Config) -> None:
    """As `run`, unless an earlier check of these manifests, with settings that asked the same, found no error.

    What may have changed since, the headers of the files, a training reads before its first step.
    """
    found = read_findings(recipe.data(config) / FINDINGS, _checksums(recipe, config), _asked(recipe, config))
    if found is None or _errors(found) or config.check.model is not None or config.check.json is not None:
        run(recipe, config)
    else:
        print(f"{recipe.name}: checked before, {_counts(found)}; `asr check {recipe.name}` examines everything anew.")


def refuse_mistakes(recipe: Recipe, config: Config, unreadable: int = 0) -> None:
    """The part of the check of train and dev that takes no decoding, for a training before its first step.

    Logs one line for each error.

    Args:
        unreadable: So many files that cannot be read are no reason to refuse: a training under way does without them.

    Raises:
        DataError: There are errors.
    """
    splits = {split: read_split(recipe, config, split) for split in ("train", "dev")}
    audio = open_audio(config.shards, recipe.data(config))
    unfit = audio.verify()
    if unfit and not unreadable:
        raise DataError(
            f"{next(iter(unfit.values()))}; {len(unfit)} shards in all are not as they were packed: put them back, or "
            "pack the corpus again."
        )
    findings = mistakes(splits, requirements(config, splits["train"]), audio)
    for finding in findings:
        log.info("%s", finding)
    lost = [finding for finding in findings if finding.kind == UNREADABLE]
    if len(lost) <= unreadable:
        findings = [finding for finding in findings if finding.kind != UNREADABLE]
    _refuse_errors(recipe, findings)


def requirements(config: Config, train: Sequence[Utterance]) -> Requirements:
    """What the configuration asks of every utterance.

    Args:
        train: The training utterances, whose transcripts the tokenizer may learn from.
    """
    tokenizer = build_tokenizer(config.tokenizer, Field(train, "text"))
    return Requirements(config.data.sampling_rate, tokenizer.encode, _OutputFrames(config))


@dataclass(frozen=True)
class _OutputFrames:
    config: Config

    def __call__(self, split: str, utterance: Utterance) -> int:
        config, samples = self.config, utterance.samples
        if split == "train":  # only training utterances are played faster
            samples = perturbed_samples(samples, max(config.augment.speed_factors))
            samples = perturbed_samples(samples, max(config.augment.tempo_factors))
        return output_length(frame_count(config.features, config.data.sampling_rate, samples), config.model.subsampling)


def _checksums(recipe: Recipe, config: Config) -> dict[str, str]:
    return {split: manifest_checksum(recipe.manifest(config, split)) for split in SPLITS}


def _asked(recipe: Recipe, config: Config) -> str:
    """A hash of all that findings depend on beside the recipe's own manifests."""
    settings = plain(config)
    augment = {key: settings["augment"][key] for key in ("speed_factors", "tempo_factors")}
    groups = [settings["data"]["sampling_rate"], settings["features"], settings["tokenizer"], augment]
    parts = [training_checksum(recipe, config), *groups, settings["model"]["subsampling"], config.shards.source]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _print(findings: list[Finding], lines: int) -> None:
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
        print(f"{'severity':<8} {'findings':>8} kind")
        for (severity, kind), count in sorted(kinds.items(), key=lambda item: (item[0][0], -item[1])):
            print(f"{severity:<8} {count:>8} {kind}")


def _counts(findings: list[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counts[kind]} {kind.value}{'' if counts[kind] == 1 else 's'}" for kind in Severity)


def _refuse_errors(recipe: Recipe, findings: list[Finding]) -> None:
    if errors := _errors(findings):
        raise DataError(
            f"The corpus of {recipe.name} has {len(errors)} {'error' if len(errors) == 1 else 'errors'}, named above: "
            "mend them, or let `asr check` with check.fix=true leave these utterances out of the manifests."
        )


def _recognizer(config: Config) -> "Recognizer | None":
    if config.check.model is None:
        return None
    from asr.checks.model_based import open_recognizer
    from asr.training.hardware import resolve_hardware

    return open_recognizer(config, str(resolve_hardware(config.hardware).device))


def _unwanted(config: Config, findings: list[Finding]) -> list[Finding]:
    """What check.fix leaves out, as errors. Dev and test keep their anomalies, lest they flatter a model."""
    anomalies = [f for f in findings if f.kind == ANOMALY and f.split == "train" and f.utterance]
    as_errors = [replace(finding, severity=Severity.error) for finding in anomalies]
    return [*_errors(findings), *(as_errors if config.check.fix_anomalies else [])]


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.error]
