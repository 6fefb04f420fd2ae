"""Speech activity: the labels of frames, the stretches of speech that they make up, and how good they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.data.utterance import Utterance
from asr.features.extractor import frame_count
from asr.inference.forced_alignment import FrameTimes, frame_times
from asr.inference.recognition import Recognition
from asr.inference.streaming import seconds_until
from asr.model.convolution import output_length
from asr.scoring.error_rates import UtteranceScore
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import SpeechFigures
from asr.settings.root import Config
from asr.text.speech import SPEECH, Spans, read_spans, written_spans

Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]

THRESHOLD = 0.5
"""A frame is speech where it is more probable than this."""
SHORTEST_PAUSE, SHORTEST_SPEECH = 0.2, 0.1
"""Shorter pauses belong to the speech around them; what is then shorter than the second is no speech (s)."""
OVERLAP = 0.5
"""A segment is found where one overlaps it by this share of both together."""


def output_frames(config: Config, samples: int) -> int:
    """Output frames of a configuration's model for a recording."""
    return output_length(frame_count(config.features, config.data.sampling_rate, samples), config.model.subsampling)


def frame_labels(spans: Spans, frames: int, times: FrameTimes) -> Labels:
    """Whether each output frame is speech: whether its middle is, (frames,)."""
    middles = (np.arange(frames) + 0.5) * times.frame_seconds + times.offset
    edges = np.array([edge for span in spans for edge in span])
    labels: Labels = np.searchsorted(edges, middles, side="right") % 2 == 1
    return labels


def speech_spans(probabilities: Probabilities, times: FrameTimes) -> Spans:
    """The stretches of speech (s) in which frames are probably speech, without short pauses and short bursts.

    Args:
        probabilities: Of speech in each output frame, (frames,).
    """
    speech = np.concatenate([[False], probabilities > THRESHOLD, [False]])
    edges = np.flatnonzero(np.diff(speech.astype(np.int8))).reshape(-1, 2)
    spans: list[tuple[float, float]] = []
    for first, behind in edges.tolist():
        begin, end = times.begin(first), times.begin(behind)
        if spans and begin - spans[-1][1] < SHORTEST_PAUSE:
            begin, _ = spans.pop()
        spans.append((begin, end))
    return [(begin, end) for begin, end in spans if end - begin >= SHORTEST_SPEECH]


@dataclass(frozen=True)
class Labelled:
    """A recording whose frames were labelled."""

    number: int
    """Its place in the split."""
    score: UtteranceScore
    probabilities: Probabilities
    """Of speech in each frame."""
    labels: Labels
    """What the frames are."""
    loss: float
    """The cross-entropy, summed over frames (nats)."""
    delays: Sequence[float]
    """Of the segments that were found (s)."""


def label_utterances(
    config: Config, utterances: Sequence[Utterance], recognized: Iterable[tuple[Sequence[int], Recognition]]
) -> list[Labelled]:
    """Labels the frames of recordings and scores them.

    Args:
        config: Of the model.
        utterances: Those of the split.
        recognized: All of them or some, as `asr.inference.evaluation.recognize_batches` gives them.
    """
    times, found = frame_times(config), []
    for numbers, recognition in recognized:
        for place, number in enumerate(numbers):
            log_probs = recognition.log_probs[: int(recognition.lengths[place]), place].float().cpu().numpy()
            found.append(_labelled(number, utterances[number], log_probs, times, config))
    return sorted(found, key=lambda one: one.number)


def _labelled(
    number: int, utterance: Utterance, log_probs: npt.NDArray[np.float32], times: FrameTimes, config: Config
) -> Labelled:
    spoken = read_spans(utterance.text)
    labels = frame_labels(spoken, len(log_probs), times)
    probabilities = np.exp(log_probs[:, SPEECH])
    said = probabilities > THRESHOLD
    spans = speech_spans(probabilities, times)
    pairs = matched(spoken, spans)
    missed, false = int((labels & ~said).sum()), int((said & ~labels).sum())
    score = UtteranceScore(
        unit=ErrorUnit.frame,
        id=utterance.id,
        speaker=utterance.speaker,
        duration=utterance.duration,
        reference=utterance.text,
        hypothesis=written_spans(spans),
        fields=utterance.extra,
        words=0,
        characters=0,
        word_errors=0,
        character_errors=0,
        substitutions=0,
        deletions=missed,
        insertions=false,
        frames=len(labels),
        frame_errors=missed + false,
        segments=len(spoken),
        segment_errors=len(spoken) + len(spans) - 2 * len(pairs),
    )
    loss = -float(log_probs[np.arange(len(labels)), labels.astype(np.int64)].sum(dtype=np.float64))
    delays = [_known_at(spans[found][0], utterance, times, config) - spoken[true][0] for true, found in pairs]
    return Labelled(number, score, probabilities, labels, loss, delays)


def _known_at(begin: float, utterance: Utterance, times: FrameTimes, config: Config) -> float:
    """When a stream knows of speech that begins at a time; of a model that reads whole utterances, that time."""
    if config.model.bidirectional:
        return begin
    frame = max(0, round((begin - times.offset) / times.frame_seconds))
    return min(seconds_until(config, frame), utterance.duration)


def matched(spoken: Spans, found: Spans) -> list[tuple[int, int]]:
    """The segments that were found: their numbers in the reference and among those found, each at most once."""
    pairs = []
    for number, (begin, end) in enumerate(spoken):
        for other, (start, stop) in enumerate(found):
            both = min(end, stop) - max(begin, start)
            if both >= OVERLAP * (max(end, stop) - min(begin, start)):
                pairs.append((number, other))  # more than half of one: there is no second
                break
    return pairs


def speech_figures(labelled: Sequence[Labelled]) -> SpeechFigures:
    """The figures of recordings."""
    segments = sum(one.score.segments for one in labelled)
    found = sum(len(read_spans(one.score.hypothesis)) for one in labelled)
    delays = [delay for one in labelled for delay in one.delays]
    return SpeechFigures(
        precision=len(delays) / found if found else 0.0,
        recall=len(delays) / segments if segments else 0.0,
        area_under_curve=area_under_curve(
            np.concatenate([one.probabilities for one in labelled]), np.concatenate([one.labels for one in labelled])
        ),
        delay=round(float(np.median(delays)), 3) if delays else None,
    )


def area_under_curve(scores: Probabilities, labels: Labels) -> float:
    """The probability that a frame of speech has a higher score than another one; ties count half. 0.5 where all are
    alike."""
    values, inverse = np.unique(scores, return_inverse=True)
    speech = np.bincount(inverse[labels], minlength=len(values))
    other = np.bincount(inverse[~labels], minlength=len(values))
    if not speech.sum() or not other.sum():
        return 0.5
    below = np.cumsum(other) - other / 2
    return float((speech * below).sum() / (speech.sum() * other.sum()))
