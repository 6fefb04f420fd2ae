"""Transcripts of recordings of any length, in constant memory: segments, batches by length, words with their times."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from asr.common.errors import ConfigError, DataError
from asr.common.files import read_text
from asr.data.recording import open_recording
from asr.features.extractor import frame_count, hop_samples, least_audio
from asr.inference.confidence import ConfidenceMap, word_evidence
from asr.inference.forced_alignment import align, frame_times, needed_frames, word_spans
from asr.inference.recognition import BatchRecognizer
from asr.inference.segments import Detector, Samples, Segment, cut, stitch
from asr.settings.text import Case, TextConfig
from asr.text.normalization import normalize
from asr.text.protocol import BLANK, Tokenizer

WINDOW_SECONDS = 300.0
"""Audio that is read before it is recognized; its segments are sorted into batches by length."""
BATCH_SECONDS = 120.0

Emission = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a transcript."""

    text: str
    start: float
    """Seconds from the beginning of the recording."""
    end: float
    confidence: float | None
    """Probability that it is correct; None where the model has no confidence that was fitted for its decoder."""


@dataclass(frozen=True)
class Transcript:
    """The words of a recording."""

    path: Path
    seconds: float
    words: list[Word]
    note: str | None = None
    """How the recording was converted to the input of the model; None where it was not."""

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Region:
    """The log-probabilities of a recording from one cut in a pause to the next: of one segment, or of several that
    overlap, stitched together."""

    first_frame: int
    """Its number in the recording."""
    emission: Emission
    """Log-probabilities, (frames, tokens)."""


@dataclass
class _Recording:
    """A recording that is being recognized."""

    path: Path
    region: Region | None = None
    """The last one, which the next segment may continue."""
    words: list[Word] = field(default_factory=list)
    note: str | None = None
    samples: int = 0
    """That were read so far."""
    in_segments: int = 0
    """That will be recognized; those that overlap are counted twice."""

    def counted(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """The blocks of the recording, while they are read."""
        for block in blocks:
            self.samples += len(block)
            yield block


@dataclass(frozen=True)
class _End:
    """A recording ends here, or cannot be read further."""

    seconds: float
    error: DataError | None


class Transcriber:
    """Transcribes recordings, in memory that does not grow with their length.

    Args:
        recognizer: Its decoder makes the text.
        confidence: None gives no confidences.
        batch_seconds: Padded audio in a batch (s).
        each: Called with the seconds of audio of each batch that was recognized, and of what is left out.
        detector: Where recordings are cut; None cuts where they are quiet.

    Raises:
        ConfigError: The model labels frames, and recognizes no words.
    """

    def __init__(
        self,
        recognizer: BatchRecognizer,
        confidence: ConfidenceMap | None = None,
        batch_seconds: float = BATCH_SECONDS,
        each: Callable[[float], None] = lambda seconds: None,
        detector: Detector | None = None,
    ) -> None:
        self.recognizer, self.confidence = recognizer, confidence
        self.batch_seconds, self.each, self.detector = batch_seconds, each, detector
        config = recognizer.config
        if config.tokenizer.kind.labels_frames:
            raise ConfigError(
                "This model labels frames as speech or not (tokenizer=speech), and recognizes no words: give it as vad "
                "to one that does."
            )
        self.rate = config.data.sampling_rate
        self.step = config.model.subsampling * hop_samples(config.features, self.rate)
        self.times = frame_times(config)

    def __call__(self, paths: Iterable[Path]) -> Iterator[Transcript | DataError]:
        """The transcript of each recording, or why there is none, in their order."""
        for recording, event in self._regions(paths):
            if isinstance(event, Region):
                recording.words += self._words(event)
            elif event.error is not None:
                yield event.error
            else:
                yield Transcript(recording.path, event.seconds, recording.words, recording.note)

    def regions(self, path: Path) -> Iterator[Region]:
        """The log-probabilities of a recording.

        Raises:
            DataError: The recording cannot be read.
        """
        for _, event in self._regions([path]):
            if isinstance(event, Region):
                yield event
            elif event.error is not None:
                raise event.error

    def _regions(self, paths: Iterable[Path]) -> Iterator[tuple[_Recording, Region | _End]]:
        """The regions of each recording and its end."""
        window: list[tuple[_Recording, Segment | _End]] = []
        seconds = 0.0
        for recording, event in self._segments(paths):
            window.append((recording, event))
            if isinstance(event, Segment):
                seconds += len(event.samples) / self.rate
                if seconds >= WINDOW_SECONDS:
                    yield from self._recognize(window)
                    window, seconds = [], 0.0
        yield from self._recognize(window)

    def _segments(self, paths: Iterable[Path]) -> Iterator[tuple[_Recording, Segment | _End]]:
        features = self.recognizer.config.features
        for path in paths:
            recording, error = _Recording(path), None
            try:
                with open_recording(path, self.rate) as opened:
                    recording.note = opened.note
                    for segment in cut(recording.counted(opened.blocks), self.rate, self.step, self.detector):
                        if frame_count(features, self.rate, len(segment.samples)):
                            recording.in_segments += len(segment.samples)
                            yield recording, segment
                if frame_count(features, self.rate, recording.samples) == 0:
                    raise DataError(
                        f"{path}: its {1000 * recording.samples / self.rate:.0f} ms of sound are shorter than "
                        f"{least_audio(features)}; leave it out."
                    )
            except DataError as found:
                error = found
            yield recording, _End(recording.samples / self.rate, error)

    def _recognize(
        self, window: Sequence[tuple[_Recording, Segment | _End]]
    ) -> Iterator[tuple[_Recording, Region | _End]]:
        emissions = iter(self._emissions([event for _, event in window if isinstance(event, Segment)]))
        for recording, event in window:
            before = recording.region
            if isinstance(event, _End):
                recording.region = None
                self.each(max(0, recording.samples - recording.in_segments) / self.rate)
            else:
                first, emission = event.start // self.step, next(emissions)
                if event.joined and before is not None:
                    joined = stitch(before.emission, before.first_frame, emission, first)
                    recording.region, before = Region(before.first_frame, joined), None
                else:
                    recording.region = Region(first, emission)
            if before is not None:
                yield recording, before
            if isinstance(event, _End):
                yield recording, event

    def _emissions(self, segments: Sequence[Segment]) -> list[Emission]:
        """The log-probabilities of segments, computed in batches of similar length."""
        found: dict[int, Emission] = {}
        order = sorted(range(len(segments)), key=lambda number: len(segments[number].samples))
        while order:
            batch = [order.pop()]
            longest = len(segments[batch[0]].samples) / self.rate
            while order and (len(batch) + 1) * longest <= self.batch_seconds:
                batch.append(order.pop())
            waveforms = [torch.from_numpy(segments[number].samples) for number in batch]
            samples = torch.tensor([len(waveform) for waveform in waveforms])
            log_probs, frames = self.recognizer.log_probs(pad_sequence(waveforms, batch_first=True), samples)
            for place, number in enumerate(batch):
                found[number] = log_probs[: int(frames[place]), place].float().cpu().numpy().copy()
            self.each(float(samples.sum()) / self.rate)
        return [found[number] for number in range(len(segments))]

    def _words(self, region: Region) -> list[Word]:
        log_probs, lengths = torch.from_numpy(region.emission)[:, None], torch.tensor([len(region.emission)])
        (text,) = self.recognizer.decoder(log_probs, lengths)
        tokenizer = self.recognizer.tokenizer
        (alignment,) = align(log_probs, lengths, [tokenizer.encode(text)])
        start = region.first_frame * self.times.frame_seconds
        if alignment is None:
            return _evenly(text.split(), start, start + len(region.emission) * self.times.frame_seconds)
        spans = word_spans(alignment, tokenizer)
        confidences: Sequence[float | None] = [None] * len(spans)
        if self.confidence is not None:
            confidences = [round(float(one), 4) for one in self.confidence(word_evidence(alignment, spans))]
        timed = replace(self.times, offset=self.times.offset + start).words(spans)
        return [Word(word.text, word.start, word.end, one) for word, one in zip(timed, confidences, strict=True)]


def _evenly(words: Sequence[str], start: float, end: float) -> list[Word]:
    """Words of a beam search for which CTC has too few frames, spread evenly over the time of their region."""
    places = np.linspace(start, end, len(words) + 1).round(3).tolist()
    return [Word(word, *times, None) for word, times in zip(words, pairwise(places), strict=True)]


BETWEEN_REGIONS = -30.0
"""Log-probability of all tokens except the blank in the few frames of pauses between two regions."""


def align_recording(recognizer: BatchRecognizer, path: Path, text: str) -> tuple[Transcript, float]:
    """Finds when each word of a text is spoken.

    The log-probabilities are computed segment by segment; the path through all of them is the best of all, whatever the
    length.

    Args:
        text: The words that are spoken from the beginning of the recording to its end, with white space between them.

    Returns:
        The words with their times, and the log-probability of the path per token: near 0 where the text is that of the
        recording, far below where it is not.

    Raises:
        DataError: The recording cannot be read, the text has no word or a character that the tokenizer cannot write, or
            it is too long for the recording.
    """
    words = text.split()
    if not words:
        raise DataError("The text has no word: give the transcript of the recording.")
    tokens = recognizer.tokenizer.encode(" ".join(words))
    transcriber = Transcriber(recognizer)
    regions = list(transcriber.regions(path))
    frames = max(region.first_frame + len(region.emission) for region in regions)
    log_probs = np.full((frames, recognizer.tokenizer.size), BETWEEN_REGIONS, dtype=np.float32)
    log_probs[:, BLANK] = 0.0
    for region in regions:
        log_probs[region.first_frame : region.first_frame + len(region.emission)] = region.emission
    times = transcriber.times
    (alignment,) = align(torch.from_numpy(log_probs)[:, None], torch.tensor([frames]), [tokens])
    if alignment is None:
        raise DataError(
            f"{path}: {len(words)} words need {needed_frames(tokens)} frames of the model, and the recording has "
            f"{frames}: the text is of another recording, or goes beyond it."
        )
    found = [
        Word(word.text, word.start, word.end, None) for word in times.words(word_spans(alignment, recognizer.tokenizer))
    ]
    return Transcript(path, frames * times.frame_seconds, found), alignment.score


def read_text_to_align(path: Path, tokenizer: Tokenizer, *, normalized: bool, language: str | None = None) -> str:
    """Reads the text of a recording for `align_recording`.

    Args:
        path: A text file.
        normalized: Whether to leave out punctuation, and to write the text in the case of the tokens if they have only
            one.
        language: As `text.language`, whose rules the case follows.

    Raises:
        DataError: It cannot be read, or has a character that the tokenizer cannot write.
    """
    text = read_text(path)
    if normalized:
        letters = "".join(tokenizer.symbols[1:])
        case = Case.upper if letters == letters.upper() else Case.lower if letters == letters.lower() else Case.keep
        text = normalize(text, TextConfig(normalize=True, language=language, case=case, numbers=False))
    try:
        tokenizer.encode(" ".join(text.split()))
    except DataError as error:
        hint = "" if normalized else " --normalize leaves out punctuation and adapts the case."
        raise DataError(f"{path}: {error}{hint}") from None
    return text
