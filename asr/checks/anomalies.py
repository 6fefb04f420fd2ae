"""Anomalies: transcripts that do not belong to their audio, found with a trained model.

The hypothesis of the model contradicts a foreign transcript: it is far more probable. How much more, per token, is
compared with two kinds of transcripts: the split's own, most of which are right, and transcripts that are surely wrong,
those of other utterances. So the score means the same whatever the model and however noisy the recording.

A model that was trained on a wrong transcript may have memorized it, together with the audio as it was in training; so
the model is also tried on audio that is a little slower, and a little faster, than any in its training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from asr.batching.dataset import Dataset
from asr.checks.findings import ANOMALY, Finding, warning
from asr.common.errors import RunError
from asr.common.seeds import derive_seed
from asr.data.utterance import Utterance
from asr.decoding.greedy import greedy
from asr.features.augment import change_speed, perturbed_samples
from asr.features.extractor import frame_count
from asr.inference.evaluation import read_batches, recognize_batches
from asr.inference.forced_alignment import WordSpan, align, needed_frames, word_spans
from asr.inference.recognizer import Recognizer
from asr.model.subsampling import output_length
from asr.settings.root import Config
from asr.text.protocol import BLANK, labels_of

Floats = npt.NDArray[np.float64]

DEVIATIONS = 3.5
"""From the median, in robust standard deviations: of normal paces one in 2,000 is so far off."""
TIMES = 2.0
"""A pace must also be this many times off, since a speaker may speak very evenly."""


def word_paces(spans: Sequence[WordSpan], frames: int) -> Floats:
    """The paces of an utterance's words, as logarithms of frames per token, (words, 2).

    The first is up to the next word, or to the end of the audio, and shows words with too little time, pauses included.
    The second is within the word, and shows words that take too long; nan for a word of a single token.

    Args:
        spans: The words of the transcript's alignment, in order.
        frames: Of the utterance.
    """
    ends = [*(span.start for span in spans[1:]), frames]
    rows = [
        (
            np.log((end - span.start) / (span.last - span.first)),
            np.log((span.end - span.start) / (span.last - span.first)) if span.last - span.first > 1 else np.nan,
        )
        for span, end in zip(spans, ends, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2)


@dataclass(frozen=True)
class UsualPace:
    """The usual paces in a split."""

    median: Floats
    """Of the logarithms, (2,)."""
    limit: Floats
    """How far from it a pace is still usual, (2,)."""

    @classmethod
    def of(cls, paces: Sequence[Floats]) -> "UsualPace":
        """Estimated from the paces of all utterances."""
        columns = np.concatenate([np.zeros((0, 2)), *paces]).T
        known = [column[~np.isnan(column)] for column in columns]
        median = np.array([np.median(column) if len(column) else 0.0 for column in known])
        deviation = np.array(
            [
                1.4826 * np.median(np.abs(column - middle)) if len(column) else 0.0
                for column, middle in zip(known, median, strict=True)
            ]
        )
        return cls(median, np.maximum(DEVIATIONS * deviation, np.log(TIMES)))

    def squeezed(self, paces: Floats) -> int:
        """How many words have too little time."""
        return int((paces[:, 0] < self.median[0] - self.limit[0]).sum())

    def stretched(self, paces: Floats) -> int:
        """How many words take too long."""
        return int((paces[:, 1] > self.median[1] + self.limit[1]).sum())


FOREIGN = 8
"""Transcripts of other utterances that each utterance is tried with."""
TRIES = 64
"""Draws of them: those that do not fit into the frames do not count."""
LEAST_RIGHT = 0.8
"""Share of the utterances whose own transcript must fit better than foreign ones for the model to be used."""
FEWEST = 20
"""Utterances from which on that share is meaningful."""
LEAST_SCALE = 0.25
"""Of the usual distance between right and foreign transcripts: an utterance's own is taken to be no less."""
BEYOND_TRAINING = 0.1
"""Audio is played this much slower than the slowest speed of the training, and this much faster than the fastest."""
SHOWN = 60
"""Characters of a text in a finding."""


@dataclass(frozen=True)
class Evidence:
    """How well the transcript of an utterance fits its audio."""

    contradiction: float
    """(log p(hypothesis) - log p(transcript)) / tokens of the transcript, in nats; 0 where both are the same."""
    foreign: float
    """The median contradiction of transcripts of other utterances; nan where none fits into the frames."""
    paces: Floats
    """Of its words, as of `word_paces`."""
    hypothesis: str


SplitEvidence = dict[int, Evidence]
"""By the number of the utterance."""


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


@dataclass(frozen=True)
class _AtSpeed:
    """Reads audio at another speed; see `asr.inference.evaluation.Readable`."""

    inputs: Dataset
    speed: float

    @property
    def ids(self) -> Sequence[str]:
        return self.inputs.ids

    def __call__(self, number: int, epoch: int) -> Tensor:
        return change_speed(self.inputs(number, epoch), self.speed)

    def seconds(self, epoch: int) -> Floats:
        return self.inputs.seconds(epoch) / self.speed


def speeds_to_try(config: Config) -> tuple[float, float, float]:
    """The speeds at which a model that was trained with this configuration is tried: 1 and two beyond its training."""
    factors = config.augment.speed_factors
    return max(0.5, round(min(factors) - BEYOND_TRAINING, 2)), 1.0, min(2.0, round(max(factors) + BEYOND_TRAINING, 2))


def find_evidence(split: str, inputs: Dataset, speed: float, recognizer: Recognizer, config: Config) -> SplitEvidence:
    """Recognizes a split and compares the transcripts with the log-probabilities.

    Args:
        split: Its name, for the progress.
        inputs: Waveforms of its utterances.
        speed: At which they are played.
        recognizer: The model.
        config: Its `batching.max_device_seconds` and `hardware.workers` are used.

    Returns:
        The evidence by the number of the utterance; those are missing whose transcript is empty, or cannot be written
        with the model's tokens or in its frames.

    Raises:
        DataError: An utterance cannot be read.
    """
    utterances = inputs.utterances
    labels = [labels_of(recognizer.tokenizer, utterance.text) for utterance in utterances]
    fitting = [
        number
        for number, (utterance, own) in enumerate(zip(utterances, labels, strict=True))
        if own and needed_frames(own) <= _frames(recognizer.config, utterance, speed)
    ]
    some = Dataset([utterances[number] for number in fitting], None, None, inputs.seed, audio=inputs.audio)
    batches = read_batches(_AtSpeed(some, speed), config)
    title = f"Recognizing {split} at {speed:g} times its speed"
    found: SplitEvidence = {}
    for places, recognition in recognize_batches(recognizer, batches, title, len(fitting)):
        for column, (place, frames) in enumerate(zip(places, recognition.lengths.tolist(), strict=True)):
            number = fitting[place]
            own = labels[number]
            if own and needed_frames(own) <= frames:
                others = _foreign(utterances, labels, number, frames)
                found[number] = weigh(recognition.log_probs[:frames, column].cpu(), own, others, recognizer)
    return found


def _frames(config: Config, utterance: Utterance, speed: float) -> int:
    """Frames of the model's output."""
    samples = perturbed_samples(utterance.samples, speed)
    return output_length(frame_count(config.features, config.data.sampling_rate, samples), config.model.subsampling)


def weigh(log_probs: Tensor, own: Sequence[int], foreign: Sequence[Sequence[int]], recognizer: Recognizer) -> Evidence:
    """The evidence of an utterance.

    Args:
        log_probs: Log-probabilities of the tokens, (frames, tokens).
        own: The tokens of its transcript, which fit into the frames.
        foreign: Those of other transcripts, which fit too.
    """
    lengths = torch.tensor([len(log_probs)])
    (hypothesis,) = greedy(log_probs[:, None], lengths)
    texts = [hypothesis, own, *foreign]
    losses = _losses(log_probs, texts)
    contradictions = [(loss - losses[0]) / len(text) for loss, text in zip(losses[1:], texts[1:], strict=True)]
    (alignment,) = align(log_probs[:, None], lengths, [own])
    assert alignment is not None  # its tokens fit
    return Evidence(
        contradictions[0],
        float(np.median(contradictions[1:])) if foreign else math.nan,
        word_paces(word_spans(alignment, recognizer.tokenizer), len(log_probs)),
        recognizer.tokenizer.decode(hypothesis),
    )


def _losses(log_probs: Tensor, texts: Sequence[Sequence[int]]) -> list[float]:
    """-log p(text) for each, in nats, over all its paths."""
    losses: list[float] = functional.ctc_loss(
        log_probs.double()[:, None].expand(-1, len(texts), -1).contiguous(),
        torch.tensor([token for text in texts for token in text], dtype=torch.int64),
        torch.full((len(texts),), len(log_probs)),
        torch.tensor([len(text) for text in texts]),
        blank=BLANK,
        reduction="none",
    ).tolist()
    return losses


def _foreign(
    utterances: Sequence[Utterance], labels: Sequence[Sequence[int] | None], number: int, frames: int
) -> list[list[int]]:
    """Transcripts of others, drawn by the id of the utterance."""
    own, chosen = labels[number], list[list[int]]()
    for draw in range(TRIES):
        text = labels[derive_seed("foreign transcript", draw, utterances[number].id) % len(labels)]
        if text and text != own and needed_frames(text) <= frames:
            chosen.append([*text])
            if len(chosen) == FOREIGN:
                break
    return chosen


def rank(split: str, utterances: Sequence[Utterance], evidence: Sequence[SplitEvidence]) -> list[Anomaly]:
    """The utterances of a split for which there is evidence, the most anomalous first.

    Args:
        split: Its name.
        utterances: By number.
        evidence: As of `find_evidence`, at each speed; an utterance's score is the mean over the speeds at which its
            transcript fits into the frames.

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
    odd = [
        f"{what} {count}" for what, count in (("squeezes", anomaly.squeezed), ("stretches", anomaly.stretched)) if count
    ]
    fit = f"; the alignment {' and '.join(odd)} of its {anomaly.words} words" if odd else ""
    return warning(
        ANOMALY,
        f"its transcript {_short(anomaly.text)} does not fit, the model recognizes {_short(anomaly.hypothesis)} (score "
        f"{anomaly.score:.2f}, where 0 is usual and 1 as bad as others' transcripts{fit}); listen to it, correct the "
        "transcript or leave it out.",
    ).about(anomaly.split, utterance)


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")
