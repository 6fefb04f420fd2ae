"""The part of `asr check` that needs a trained model: transcripts that do not belong to their audio."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from asr.batching.dataset import Dataset
from asr.checks.anomalies import Anomaly, anomaly_finding, find_evidence, rank, speeds_to_try
from asr.checks.findings import ANOMALY, Finding, Severity
from asr.common.errors import ConfigError, RunError
from asr.common.files import atomic_write_text
from asr.data.audio import Audio
from asr.data.utterance import Utterance
from asr.inference.finished_run import FinishedRun
from asr.inference.recognizer import Recognizer
from asr.settings.recipe import Recipe
from asr.settings.root import Config

log = logging.getLogger(__name__)

RANKING = "anomalies.jsonl"
"""Lies beside the manifests: every utterance that was compared, the most anomalous first."""


def open_recognizer(config: Config, device: str) -> Recognizer:
    """The model of check.model on a device.

    Raises:
        RunError: There is none.
        ConfigError: Its sampling rate is another.
    """
    assert config.check.model is not None
    run = FinishedRun.of_model(config.check.model, "check.model")
    recognizer = run.recognizer(device)
    rate = recognizer.config.data.sampling_rate
    if rate != config.data.sampling_rate:
        raise ConfigError(
            f"The model {run.model} has a sampling rate of {rate} Hz, data.sampling_rate is "
            f"{config.data.sampling_rate} Hz: give another in check.model."
        )
    return recognizer


def find_anomalies(
    recipe: Recipe,
    config: Config,
    recognizer: Recognizer,
    splits: Mapping[str, Sequence[Utterance]],
    errors: Sequence[Finding],
    audio: Audio,
) -> list[Finding]:
    """Ranks all utterances of all splits and writes the ranking beside the manifests.

    Args:
        errors: Findings of the corpus check; utterances with errors are not compared.

    Returns:
        Findings of the anomalies, the worst first.
    """
    faulty = {(error.split, error.utterance) for error in errors}
    ranking: list[tuple[Anomaly, Utterance]] = []
    findings: list[Finding] = []
    speeds = speeds_to_try(recognizer.config)
    for split, whole in splits.items():
        utterances = [utterance for utterance in whole if (split, utterance.id) not in faulty]
        inputs = Dataset(utterances, None, None, config.seed, audio=audio)
        evidence = [find_evidence(split, inputs, speed, recognizer, config) for speed in speeds]
        compared = set().union(*evidence)
        if len(compared) < len(utterances):
            log.info(
                "%d transcripts of %s do not fit into the frames or the tokens of the model and are not compared.",
                len(utterances) - len(compared),
                split,
            )
        try:
            by_id = {utterance.id: utterance for utterance in utterances}
            ranking += [(anomaly, by_id[anomaly.id]) for anomaly in rank(split, utterances, evidence)]
        except RunError as error:  # the findings of the corpus check are still reported
            findings.append(Finding(Severity.warning, split, "", str(error), ANOMALY))
    ranking.sort(key=lambda item: -item[0].score)
    lines = (json.dumps(asdict(anomaly), ensure_ascii=False) + "\n" for anomaly, _ in ranking)
    atomic_write_text(recipe.data(config) / RANKING, "".join(lines))
    log.info("All utterances, the least fitting transcripts first: %s", recipe.data(config) / RANKING)
    found = [anomaly_finding(*item) for item in ranking if item[0].score >= config.check.anomaly]
    return [*findings, *found]
