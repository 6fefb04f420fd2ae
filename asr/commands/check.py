"""`asr check`: looks for mistakes in the prepared corpus before a training meets them."""

import logging
from collections import Counter
from collections.abc import Sequence

from asr.config import Config
from asr.data.corpus import SPLITS
from asr.data.doctor import Finding, Requirements, Severity, examine
from asr.data.mixture import read_split
from asr.data.utterance import Utterance
from asr.errors import DataError
from asr.features.augment import perturbed_samples
from asr.features.extractor import frame_count
from asr.model.subsampling import output_length
from asr.recipe import Recipe
from asr.text.tokenizer import build_tokenizer

log = logging.getLogger(__name__)


def run(recipe: Recipe, config: Config) -> None:
    """Decodes every utterance, prints one line for each finding and a summary.

    Raises:
        DataError: There are errors.
    """
    splits = {split: read_split(recipe, config, split) for split in SPLITS}
    findings = examine(splits, requirements(config, splits["train"]))
    for finding in findings:
        print(finding)
    print(f"{recipe.name}: {sum(map(len, splits.values()))} utterances examined, {_counts(findings)}.")
    _refuse_errors(recipe, findings)


def refuse_mistakes(recipe: Recipe, config: Config) -> None:
    """The part of the check of train and dev that takes no decoding, for a training before its first step.

    Logs one line for each error.

    Raises:
        DataError: There are errors.
    """
    splits = {split: read_split(recipe, config, split) for split in ("train", "dev")}
    findings = examine(splits, requirements(config, splits["train"]), decode=False)
    for finding in _errors(findings):
        log.info("%s", finding)
    _refuse_errors(recipe, findings)


def requirements(config: Config, train: Sequence[Utterance]) -> Requirements:
    """What the configuration asks of every utterance.

    Args:
        train: The training utterances, whose transcripts the tokenizer may learn from.
    """
    fastest = max(config.augment.speed_factors)

    def output_frames(split: str, utterance: Utterance) -> int:
        # Only training utterances are played faster.
        samples = perturbed_samples(utterance.samples, fastest) if split == "train" else utterance.samples
        return output_length(frame_count(config.features, config.data.sampling_rate, samples), config.model.subsampling)

    tokenizer = build_tokenizer(config.tokenizer, [utterance.text for utterance in train])
    return Requirements(config.data.sampling_rate, tokenizer.encode, output_frames)


def _counts(findings: list[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(f"{counts[kind]} {kind.value}{'' if counts[kind] == 1 else 's'}" for kind in Severity)


def _refuse_errors(recipe: Recipe, findings: list[Finding]) -> None:
    if errors := _errors(findings):
        raise DataError(
            f"The corpus of {recipe.name} has {len(errors)} {'error' if len(errors) == 1 else 'errors'}, named above: "
            "mend them or take these utterances out of the manifests."
        )


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.error]
