"""Transcripts of recordings of any length, in constant memory: pieces, batches by length, words with their times."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.rnn import pad_sequence

from asr.common.errors import DataError
from asr.data.recording import open_recording
from asr.features.extractor import frame_count, hop_samples
from asr.inference.confidence import ConfidenceMap, word_evidence
from asr.inference.forced_alignment import align, frame_times, needed_frames, word_spans
from asr.inference.recognition import BatchRecognizer
from asr.inference.segments import Piece, cut, stitch
from asr.text.protocol import BLANK

WINDOW_SECONDS = 300.0
"""Audio that is read before it is heard; its pieces are sorted into batches by length."""
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
    """Probability that it is right; None where the model has none calibrated for its decoder."""


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording."""

    path: Path
    seconds: float
    words: list[Word]
    note: str | None = None
    """How the recording was converted to what the model hears; None where it was not."""

    @property
    def text(self) -> str:
        """The words with single spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Stretch:
    """What a model hears of a recording from one cut in a pause to the next."""

    first_frame: int
    """Its number in the recording."""
    emission: Emission
    """Log-probabilities, (frames, tokens)."""


@dataclass
class _Recording:
    """A recording that is being heard."""

    path: Path
    stretch: Stretch | None = None
    """The last one, which the next piece may go on with."""
    words: list[Word] = field(default_factory=list)
    note: str | None = None


@dataclass(frozen=True)
class _End:
    """A recording ends here, or cannot be read further."""

    seconds: float
    error: DataError | None


class Transcriber:
    """Transcribes recordings, in memory that does not grow with their length.

    Args:
        recognizer: Its `decode` makes the text.
        confidence: None gives no confidences.
        batch_seconds: Of padded audio that is heard at once.
        each: Told the seconds of audio that were heard.
    """

    def __init__(
        self,
        recognizer: BatchRecognizer,
        confidence: ConfidenceMap | None = None,
        batch_seconds: float = BATCH_SECONDS,
        each: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.recognizer, self.confidence = recognizer, confidence
        self.batch_seconds, self.each = batch_seconds, each
        config = recognizer.config
        self.rate = config.data.sampling_rate
        self.step = config.model.subsampling * hop_samples(config.features, self.rate)
        self.times = frame_times(config)

    def __call__(self, paths: Iterable[Path]) -> Iterator[Transcript | DataError]:
        """The transcript of each recording, or why there is none, in their order."""
        for recording, event in self._heard(paths):
            if isinstance(event, Stretch):
                recording.words += self._words(event)
            elif event.error is not None:
                yield event.error
            else:
                yield Transcript(recording.path, event.seconds, recording.words, recording.note)

    def stretches(self, path: Path) -> Iterator[Stretch]:
        """What the model hears in a recording.

        Raises:
            DataError: The recording cannot be read.
        """
        for _, event in self._heard([path]):
            if isinstance(event, Stretch):
                yield event
            elif event.error is not None:
                raise event.error

    def _heard(self, paths: Iterable[Path]) -> Iterator[tuple[_Recording, Stretch | _End]]:
        """The stretches of each recording and its end."""
        window: list[tuple[_Recording, Piece | _End]] = []
        seconds = 0.0
        for recording, event in self._pieces(paths):
            window.append((recording, event))
            if isinstance(event, Piece):
                seconds += len(event.samples) / self.rate
                if seconds >= WINDOW_SECONDS:
                    yield from self._hear(window)
                    window, seconds = [], 0.0
        yield from self._hear(window)

    def _pieces(self, paths: Iterable[Path]) -> Iterator[tuple[_Recording, Piece | _End]]:
        features = self.recognizer.config.features
        for path in paths:
            recording, samples, error = _Recording(path), 0, None
            try:
                with open_recording(path, self.rate) as opened:
                    recording.note = opened.note
                    for piece in cut(opened.blocks, self.rate, self.step):
                        samples = piece.start + len(piece.samples)
                        if frame_count(features, self.rate, len(piece.samples)):
                            yield recording, piece
                if frame_count(features, self.rate, samples) == 0:
                    raise DataError(
                        f"{path}: its {1000 * samples / self.rate:.0f} ms of sound are shorter than one window of "
                        f"{features.window_ms:g} ms; leave it out."
                    )
            except DataError as found:
                error = found
            yield recording, _End(samples / self.rate, error)

    def _hear(self, window: Sequence[tuple[_Recording, Piece | _End]]) -> Iterator[tuple[_Recording, Stretch | _End]]:
        emissions = iter(self._emissions([event for _, event in window if isinstance(event, Piece)]))
        for recording, event in window:
            before = recording.stretch
            if isinstance(event, _End):
                recording.stretch = None
            else:
                first, emission = event.start // self.step, next(emissions)
                if event.joined and before is not None:
                    joined = stitch(before.emission, before.first_frame, emission, first)
                    recording.stretch, before = Stretch(before.first_frame, joined), None
                else:
                    recording.stretch = Stretch(first, emission)
            if before is not None:
                yield recording, before
            if isinstance(event, _End):
                yield recording, event

    def _emissions(self, pieces: Sequence[Piece]) -> list[Emission]:
        """The log-probabilities of pieces, heard in batches of similar length."""
        found: dict[int, Emission] = {}
        order = sorted(range(len(pieces)), key=lambda number: len(pieces[number].samples))
        while order:
            batch = [order.pop()]
            longest = len(pieces[batch[0]].samples) / self.rate
            while order and (len(batch) + 1) * longest <= self.batch_seconds:
                batch.append(order.pop())
            waveforms = [torch.from_numpy(pieces[number].samples) for number in batch]
            samples = torch.tensor([len(waveform) for waveform in waveforms])
            log_probs, frames = self.recognizer.log_probs(pad_sequence(waveforms, batch_first=True), samples)
            for place, number in enumerate(batch):
                found[number] = log_probs[: int(frames[place]), place].float().cpu().numpy().copy()
            self.each(float(samples.sum()) / self.rate)
        return [found[number] for number in range(len(pieces))]

    def _words(self, stretch: Stretch) -> list[Word]:
        log_probs, lengths = torch.from_numpy(stretch.emission)[:, None], torch.tensor([len(stretch.emission)])
        (text,) = self.recognizer.decode(log_probs, lengths)
        tokenizer = self.recognizer.tokenizer
        (alignment,) = align(log_probs, lengths, [tokenizer.encode(text)])
        start = stretch.first_frame * self.times.frame_seconds
        if alignment is None:
            return _evenly(text.split(), start, start + len(stretch.emission) * self.times.frame_seconds)
        spans = word_spans(alignment, tokenizer)
        confidences: Sequence[float | None] = [None] * len(spans)
        if self.confidence is not None:
            confidences = [round(float(sure), 4) for sure in self.confidence(word_evidence(alignment, spans))]
        timed = replace(self.times, offset=self.times.offset + start).words(spans)
        return [Word(word.text, word.start, word.end, sure) for word, sure in zip(timed, confidences, strict=True)]


def _evenly(words: Sequence[str], start: float, end: float) -> list[Word]:
    """Words that a search wrote where CTC has no frames for them, spread over the time in which they were said."""
    places = np.linspace(start, end, len(words) + 1).round(3).tolist()
    return [Word(word, *times, None) for word, times in zip(words, pairwise(places), strict=True)]


NOT_HEARD = -30.0
"""Log-probability of all tokens but the blank in the few frames of pauses between two pieces."""


def align_recording(recognizer: BatchRecognizer, path: Path, text: str) -> tuple[Transcript, float]:
    """Finds when each word of a text is said.

    The log-probabilities come piece by piece; the path through all of them is the best there is, whatever the length.

    Args:
        text: What is said from the beginning of the recording to its end, words between white space.

    Returns:
        The words with their times, and the log-probability of the path per token: near 0 where the text is what is
        said, far below where it is not.

    Raises:
        DataError: The recording cannot be read, the text has no word or a character that the model cannot write, or
            it is too long to be said in the recording.
    """
    words = text.split()
    if not words:
        raise DataError("The text has no word: give what is said in the recording.")
    tokens = recognizer.tokenizer.encode(" ".join(words))
    transcriber = Transcriber(recognizer)
    stretches = list(transcriber.stretches(path))
    frames = max(stretch.first_frame + len(stretch.emission) for stretch in stretches)
    log_probs = np.full((frames, recognizer.tokenizer.size), NOT_HEARD, dtype=np.float32)
    log_probs[:, BLANK] = 0.0
    for stretch in stretches:
        log_probs[stretch.first_frame : stretch.first_frame + len(stretch.emission)] = stretch.emission
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
