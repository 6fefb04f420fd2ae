"""Anomalies: transcripts that do not belong to their audio, by what a trained model hears in it.

What the model hears by itself contradicts a foreign transcript: its own hypothesis is far more probable. How much more,
per token, is compared with two kinds of transcripts: the split's own, of which most are right, and such as are surely
wrong, those of other utterances. So the score means the same whatever the model and however noisy the recording.

A model that was trained on a wrong transcript may have learnt it by heart. What it knows by heart is bound to the sound
as it was heard; so it hears the audio also a little slower, and a little faster, than ever in its training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from asr.batching.dataset import Dataset
from asr.batching.loader import evaluation_batches, load
from asr.checks.findings import ANOMALY, Finding, warning
from asr.common.errors import RunError
from asr.common.progress import Progress
from asr.common.seeds import derive_seed
from asr.data.utterance import Utterance
from asr.decoding.greedy import greedy
from asr.features.augment import change_speed, perturbed_samples
from asr.features.extractor import frame_count
from asr.inference.forced_alignment import WordSpan, align, needed_frames, word_spans
from asr.inference.recognizer import Recognizer
from asr.model.subsampling import output_length
from asr.settings.root import Config
from asr.text.protocol import BLANK, labels_of

Floats = npt.NDArray[np.float64]

DEVIATIONS = 3.5
"""From the median, in robust standard deviations: of normal paces one in 2,000 is so far off."""
TIMES = 2.0
"""A pace must be so many times off too, for a speaker may be very even."""


def word_paces(spans: Sequence[WordSpan], frames: int) -> Floats:
    """The paces of an utterance's words, as logarithms of frames per token, (words, 2).

    The first is up to the next word, or to the end of the audio, and tells what is squeezed, pauses included. The
    second is within the word, and tells what is stretched; nan where there is one token alone.

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
    """What paces are usual in a split."""

    median: Floats
    """Of the logarithms, (2,)."""
    limit: Floats
    """How far from it they are usual, (2,)."""

    @classmethod
    def of(cls, paces: Sequence[Floats]) -> "UsualPace":
        """Learns it from the paces of all utterances."""
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
"""Transcripts of other utterances that each is tried with."""
TRIES = 64
"""Draws of them: those that do not fit into the frames do not count."""
LEAST_SURE = 0.8
"""Share of the utterances whose own transcript must fit better than foreign ones, lest the model know nothing."""
FEWEST = 20
"""Utterances from which that share says something."""
LEAST_SCALE = 0.25
"""Of the usual distance between right and foreign transcripts: an utterance's own is taken to be no less."""
UNHEARD = 0.1
"""So much slower than the slowest speed of the training, and faster than the fastest, audio is played."""
SHOWN = 60
"""Characters of a text in a finding."""


@dataclass(frozen=True)
class Evidence:
    """What the model hears of an utterance."""

    contradiction: float
    """(log p(hypothesis) - log p(transcript)) / tokens of the transcript, in nats; 0 where both are the same."""
    foreign: float
    """The median contradiction of transcripts of other utterances; nan where none fits into the frames."""
    paces: Floats
    """Of its words, as of `word_paces`."""
    hypothesis: str


Heard = dict[int, Evidence]
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
    """Words for which the forced alignment finds too little time."""
    stretched: int
    """Words for which it takes too much."""
    text: str
    hypothesis: str


@dataclass(frozen=True)
class _Played:
    """Reads audio at another speed."""

    inputs: Dataset
    speed: float

    def __call__(self, number: int, epoch: int) -> Tensor:
        return change_speed(self.inputs(number, epoch), self.speed)


def asked_speeds(config: Config) -> tuple[float, float, float]:
    """The speeds at which a model that was trained with this configuration hears: its own and two it never heard."""
    factors = config.augment.speed_factors
    return max(0.5, round(min(factors) - UNHEARD, 2)), 1.0, min(2.0, round(max(factors) + UNHEARD, 2))


def hear(
    split: str, inputs: Dataset, speed: float, recognizer: Recognizer, max_device_seconds: float, workers: int
) -> Heard:
    """Hears a split.

    Args:
        split: Its name, for the progress.
        inputs: Waveforms of its utterances.
        speed: At which it is played.
        recognizer: The model.
        max_device_seconds: Padded audio heard at once (s).
        workers: Processes that read audio.

    Returns:
        The evidence by the number of the utterance; those are missing whose transcript is empty, or cannot be written
        with the model's tokens or in its frames.

    Raises:
        DataError: An utterance cannot be read.
    """
    labels = [labels_of(recognizer.tokenizer, utterance.text) for utterance in inputs.utterances]
    fitting = np.array(
        [
            number
            for number, (utterance, own) in enumerate(zip(inputs.utterances, labels, strict=True))
            if own and needed_frames(own) <= _frames(recognizer.config, utterance, speed)
        ],
        dtype=np.int64,
    )
    shares = [
        replace(share, utterances=fitting[share.utterances])
        for share in evaluation_batches(inputs.seconds(0)[fitting] / speed, 0, 1, max_device_seconds)
    ]
    found: Heard = {}
    with Progress(f"Hearing {split} at {speed:g} times its speed", len(fitting), "utterances") as progress:
        for batch in load(shares, _Played(inputs, speed), [[]] * len(labels), workers):
            log_probs, lengths = recognizer.log_probs(batch.inputs, batch.lengths)
            for place, (number, frames) in enumerate(zip(batch.utterances.tolist(), lengths.tolist(), strict=True)):
                own = labels[number]
                if own and needed_frames(own) <= frames:
                    others = _foreign(inputs.utterances, labels, number, frames)
                    found[number] = weigh(log_probs[:frames, place].cpu(), own, others, recognizer)
            progress.advance(len(batch.utterances))
    return found


def _frames(config: Config, utterance: Utterance, speed: float) -> int:
    """How many the model writes."""
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
    """Transcripts of others, drawn by the utterance's id alone."""
    own, chosen = labels[number], list[list[int]]()
    for draw in range(TRIES):
        text = labels[derive_seed("foreign transcript", draw, utterances[number].id) % len(labels)]
        if text and text != own and needed_frames(text) <= frames:
            chosen.append([*text])
            if len(chosen) == FOREIGN:
                break
    return chosen


def rank(split: str, utterances: Sequence[Utterance], heard: Sequence[Heard]) -> list[Anomaly]:
    """All that was heard of a split, the most anomalous first.

    Args:
        split: Its name.
        utterances: By number.
        heard: As of `hear`, at each speed; an utterance's score is the mean of those at the speeds at which it fits.

    Raises:
        RunError: The model knows too little to tell a right transcript from a wrong one.
    """
    _require_knowledge(split, heard)
    found: dict[int, list[tuple[float, Evidence, UsualPace]]] = {}
    for at_speed in heard:
        pace = UsualPace.of([evidence.paces for evidence in at_speed.values()])
        for (number, evidence), score in zip(at_speed.items(), _scores(at_speed), strict=True):
            found.setdefault(number, []).append((score, evidence, pace))
    ranking = []
    for number, parts in found.items():
        _, evidence, pace = max(parts, key=lambda part: part[0])
        ranking.append(
            Anomaly(
                split=split,
                id=utterances[number].id,
                score=round(float(np.mean([score for score, _, _ in parts])), 4),
                contradiction=round(evidence.contradiction, 4),
                words=len(evidence.paces),
                squeezed=pace.squeezed(evidence.paces),
                stretched=pace.stretched(evidence.paces),
                text=utterances[number].text,
                hypothesis=evidence.hypothesis,
            )
        )
    return sorted(ranking, key=lambda anomaly: (-anomaly.score, anomaly.id))


def _scores(heard: Heard) -> list[float]:
    """The score of each utterance that was heard at one speed; 0 for all where nothing foreign could be tried."""
    own = np.array([evidence.contradiction for evidence in heard.values()])
    foreign = np.array([evidence.foreign for evidence in heard.values()])
    known = ~np.isnan(foreign)
    if not known.any():
        return [0.0] * len(heard)  # one sentence alone, over and over
    usual, apart = float(np.median(own)), float(np.median(foreign[known]))
    # A recording in which nothing can be heard has no transcript that fits badly: its scale would be no scale.
    scale = np.maximum(np.where(known, foreign, apart) - usual, max(LEAST_SCALE * (apart - usual), 1e-6))
    scores: list[float] = ((own - usual) / scale).tolist()
    return scores


def _require_knowledge(split: str, heard: Sequence[Heard]) -> None:
    evidences = [one for at_speed in heard for one in at_speed.values() if not math.isnan(one.foreign)]
    right = sum(one.contradiction < one.foreign for one in evidences)
    if len(evidences) >= FEWEST and right < LEAST_SURE * len(evidences):
        raise RunError(
            f"The model of check.model knows too little to find anomalies in {split}: only "
            f"{100 * right / len(evidences):.0f} % of the utterances fit their own transcript better than those of "
            "others; train it longer, or give one that knows this speech."
        )


def anomaly_finding(anomaly: Anomaly, utterance: Utterance) -> Finding:
    """What the doctor says of an anomaly."""
    odd = [
        f"{what} {count}" for what, count in (("squeezes", anomaly.squeezed), ("stretches", anomaly.stretched)) if count
    ]
    fit = f"; the alignment {' and '.join(odd)} of its {anomaly.words} words" if odd else ""
    return warning(
        ANOMALY,
        f"its transcript {_short(anomaly.text)} does not fit, the model hears {_short(anomaly.hypothesis)} (score "
        f"{anomaly.score:.2f}, where 0 is usual and 1 as bad as others' transcripts{fit}); listen to it, correct the "
        "transcript or leave it out.",
    ).about(anomaly.split, utterance)


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")
