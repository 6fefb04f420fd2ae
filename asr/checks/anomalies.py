"""Anomalies: transcripts that do not belong to their audio, found with a trained model.

The hypothesis of the model contradicts a foreign transcript: it is far more probable. How much more, per token, is
compared with two kinds of transcripts: the split's own, most of which are right, and transcripts that are surely wrong,
those of other utterances. So the score means the same whatever the model and however noisy the recording.

A model that was trained on a wrong transcript may have memorized it, together with the audio as it was in training; so
the model is also tried on audio that is a little slower, and a little faster, than any in its training.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from asr.batching.dataset import Dataset
from asr.checks.findings import ANOMALY, Finding, Severity, warning
from asr.checks.transcript_fit import Evidence, SplitEvidence, UsualPace, find_evidence, speeds_to_try
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
LEAST_RIGHT = 0.8
"""Share of the utterances whose own transcript must fit better than foreign ones for the model to be used."""
FEWEST = 20
"""Utterances from which on that share is meaningful."""
LEAST_SCALE = 0.25
"""Of the usual distance between right and foreign transcripts: an utterance's own is taken to be no less."""
SHOWN = 60
"""Characters of a text in a finding."""


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
    """Ranks all utterances without errors of all splits and writes the ranking beside the manifests.

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
            line = "%d transcripts of %s do not fit into the frames or the tokens of the model and are not compared."
            log.info(line, len(utterances) - len(compared), split)
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


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An utterance in the ranking."""

    split: str
    id: str
    score: float
    """0 for a transcript that fits as they usually do in its split, 1 for one that fits no better than those of other
    utterances."""
    contradiction: float
    """As of `Evidence`, at the speed at which the transcript fits worst, as what follows."""
    words: int
    squeezed: int
    """Words that are too short in the forced alignment."""
    stretched: int
    """Words that are too long there."""
    text: str
    hypothesis: str


def rank(split: str, utterances: Sequence[Utterance], evidence: Sequence[SplitEvidence]) -> list[Anomaly]:
    """The utterances of a split for which there is evidence, the most anomalous first.

    An utterance's score is the mean over the speeds at which its transcript fits into the frames.

    Raises:
        RunError: The model knows too little to tell a right transcript from a wrong one.
    """
    _require_knowledge(split, evidence)
    found: dict[int, list[tuple[float, Evidence, UsualPace]]] = {}
    for at_speed in evidence:
        pace = UsualPace.of([one.paces for one in at_speed.values()])
        for (number, one), score in zip(at_speed.items(), _scores(at_speed), strict=True):
            found.setdefault(number, []).append((score, one, pace))
    ranking = []
    for number, parts in found.items():
        _, worst, pace = max(parts, key=lambda part: part[0])
        ranking.append(
            Anomaly(
                split=split,
                id=utterances[number].id,
                score=round(float(np.mean([score for score, _, _ in parts])), 4),
                contradiction=round(worst.contradiction, 4),
                words=len(worst.paces),
                squeezed=pace.squeezed(worst.paces),
                stretched=pace.stretched(worst.paces),
                text=utterances[number].text,
                hypothesis=worst.hypothesis,
            )
        )
    return sorted(ranking, key=lambda anomaly: (-anomaly.score, anomaly.id))


def _scores(evidence: SplitEvidence) -> list[float]:
    """The score of each utterance at one speed; 0 for all where no foreign transcript could be tried."""
    own = np.array([one.contradiction for one in evidence.values()])
    foreign = np.array([one.foreign for one in evidence.values()])
    known = ~np.isnan(foreign)
    if not known.any():
        return [0.0] * len(evidence)  # all transcripts are the same
    usual, apart = float(np.median(own)), float(np.median(foreign[known]))
    # In a recording without speech no transcript fits badly, so its own scale would be about 0.
    scale = np.maximum(np.where(known, foreign, apart) - usual, max(LEAST_SCALE * (apart - usual), 1e-6))
    scores: list[float] = ((own - usual) / scale).tolist()
    return scores


def _require_knowledge(split: str, evidence: Sequence[SplitEvidence]) -> None:
    evidences = [one for at_speed in evidence for one in at_speed.values() if not math.isnan(one.foreign)]
    right = sum(one.contradiction < one.foreign for one in evidences)
    if len(evidences) >= FEWEST and right < LEAST_RIGHT * len(evidences):
        raise RunError(
            f"The model of check.model knows too little to find anomalies in {split}: only "
            f"{100 * right / len(evidences):.0f} % of the utterances fit their own transcript better than those of "
            "others; train it longer, or give one that knows this speech."
        )


def anomaly_finding(anomaly: Anomaly, utterance: Utterance) -> Finding:
    """The finding of an anomaly."""
    counts = {"squeezes": anomaly.squeezed, "stretches": anomaly.stretched}
    odd = [f"{what} {count}" for what, count in counts.items() if count]
    fit = f"; the alignment {' and '.join(odd)} of its {anomaly.words} words" if odd else ""
    return warning(
        ANOMALY,
        f"its transcript {_short(anomaly.text)} does not fit, the model recognizes {_short(anomaly.hypothesis)} (score "
        f"{anomaly.score:.2f}, where 0 is usual and 1 as bad as others' transcripts{fit}); listen to it, correct the "
        "transcript or leave it out.",
    ).about(anomaly.split, utterance)


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")
