"""How well a transcript fits its audio, by a trained model: what it contradicts, and the paces of its words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from asr.batching.dataset import Dataset
from asr.common.seeds import derive_seed
from asr.data.utterance import Utterance
from asr.decoding.decoder import greedy
from asr.features.augment import change_speed, perturbed_samples
from asr.features.extractor import frame_count
from asr.inference.evaluation import read_batches, recognize_batches
from asr.inference.forced_alignment import WordSpan, align, needed_frames, word_spans
from asr.inference.recognizer import Recognizer
from asr.model.convolution import output_length
from asr.settings.root import Config
from asr.text.protocol import BLANK, labels_of

Floats = npt.NDArray[np.float64]

DEVIATIONS = 3.5
"""From the median, in robust standard deviations: of normal paces one in 2,000 is so far off."""
TIMES = 2.0
"""A pace must also be this many times off, since a speaker may speak very evenly."""
FOREIGN = 8
"""Transcripts of other utterances that each utterance is tried with."""
TRIES = 64
"""Draws of them: those that do not fit into the frames do not count."""
BEYOND_TRAINING = 0.1
"""Audio is played this much slower than the slowest speed of the training, and this much faster than the fastest."""


def word_paces(spans: Sequence[WordSpan], frames: int) -> Floats:
    """The paces of an utterance's words, as logarithms of frames per token, (words, 2).

    The first is up to the next word, or to the end of the audio, and shows words with too little time, pauses included.
    The second is within the word, and shows words that take too long; nan for a word of a single token.
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
        distances = [np.abs(column - middle) for column, middle in zip(known, median, strict=True)]
        deviation = np.array([1.4826 * np.median(distance) if len(distance) else 0.0 for distance in distances])
        return cls(median, np.maximum(DEVIATIONS * deviation, np.log(TIMES)))

    def squeezed(self, paces: Floats) -> int:
        """How many words have too little time."""
        return int((paces[:, 0] < self.median[0] - self.limit[0]).sum())

    def stretched(self, paces: Floats) -> int:
        """How many words take too long."""
        return int((paces[:, 1] > self.median[1] + self.limit[1]).sum())


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
        inputs: Waveforms of its utterances.
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
    """The evidence of an utterance from its log-probabilities, (frames, tokens), the tokens of its own transcript and
    those of foreign ones, all of which fit into the frames."""
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
