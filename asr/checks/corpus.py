"""The doctor: finds what would spoil a training or its evaluation, before either begins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.checks.duplicates import overlapping, shared_audio, shared_sentences, shared_speakers
from asr.checks.findings import Complaint, Finding, Severity, place_of
from asr.checks.signal import Listening, cut_short, listen
from asr.checks.transcripts import pace_findings, transcript_complaints
from asr.common.errors import DataError
from asr.common.processes import map_blocks
from asr.data.audio import FILES, Audio
from asr.data.utterance import Utterance

__all__ = ["UNREADABLE", "Finding", "Requirements", "Severity", "Splits", "ctc_frames", "examine", "mistakes"]

UNREADABLE = "unreadable"
"""The kind of what may have been sound once: a missing or damaged file."""

HEADERS = 8192
"""Utterances whose headers a process reads at once."""

Splits = Mapping[str, Sequence[Utterance]]


@dataclass(frozen=True)
class Requirements:
    """What a configuration asks of every utterance."""

    sampling_rate: int
    """The only one allowed (Hz)."""
    labels: Callable[[str], Sequence[int]]
    """Tokens of a transcript; raises DataError for a character that has none."""
    output_frames: Callable[[str, Utterance], int]
    """Frames that the model writes for an utterance of a split, at the fastest speed at which it is played."""


def mistakes(splits: Splits, requirements: Requirements, audio: Audio = FILES) -> list[Finding]:
    """The errors that show without decoding; of millions of utterances none is kept in memory.

    Returns:
        Errors in the order of the manifests.
    """
    found: list[Finding] = []
    for split, utterances in splits.items():
        # Of a list each process is sent its stretch, else it reads that itself.
        stretches = [
            (utterances[first : first + HEADERS] if isinstance(utterances, list) else utterances, first)
            for first in range(0, len(utterances), HEADERS)
        ]
        work = _Mistakes(split, requirements, audio)
        found += [finding for part in map_blocks(work, stretches, 1, f"Checking {split}", "parts") for finding in part]
    return found


@dataclass(frozen=True)
class _Mistakes:
    split: str
    requirements: Requirements
    audio: Audio

    def __call__(self, stretches: Sequence[tuple[Sequence[Utterance], int]]) -> list[list[Finding]]:
        return [[*self._of(utterances, first)] for utterances, first in stretches]

    def _of(self, utterances: Sequence[Utterance], first: int) -> Iterator[Finding]:
        stretch = utterances if isinstance(utterances, list) else utterances[first : first + HEADERS]
        for utterance in stretch:
            yield from _errors_of(self.split, utterance, _read_header(utterance, self.audio), self.requirements)


def examine(splits: Splits, requirements: Requirements, decode: bool = True, audio: Audio = FILES) -> list[Finding]:
    """Examines all utterances.

    Args:
        splits: Utterances by the names of their splits.
        requirements: What they must fulfil.
        decode: Decode all audio, on all cores; else only the headers are read, which is quick, and neither damage
            within a file, nor what is wrong with sound, nor audio shared between splits is found.
        audio: Where it is read from.

    Returns:
        Errors of utterances in the order of the manifests; warnings about those that have no error, likewise; then what
        concerns several splits.
    """
    named = [(split, utterance) for split, utterances in splits.items() for utterance in utterances]
    listenings = _listen([utterance for _, utterance in named], decode, audio)
    errors: list[Finding] = []
    warnings: list[Finding] = []
    sound: list[tuple[str, Utterance]] = []
    for (split, utterance), listening in zip(named, listenings, strict=True):
        wrong = _errors_of(split, utterance, listening, requirements)
        errors += wrong
        if not wrong:
            warnings += [complaint.about(split, utterance) for complaint in _complaints(utterance, listening)]
            sound.append((split, utterance))
    return [
        *errors,
        *warnings,
        *pace_findings(sound),
        *overlapping(sound),
        *shared_audio(named, listenings),
        *shared_sentences(splits),
        *shared_speakers(splits),
    ]


def _errors_of(split: str, utterance: Utterance, listening: Listening, requirements: Requirements) -> list[Finding]:
    complaints = (complaint.about(split, utterance) for complaint in _complaints(utterance, listening))
    return [
        *_mistakes(split, utterance, listening, requirements),
        *(finding for finding in complaints if finding.severity is Severity.error),
    ]


def _complaints(utterance: Utterance, listening: Listening) -> Iterator[Complaint]:
    yield from listening.complaints
    yield from transcript_complaints(utterance.text)


def _mistakes(split: str, utterance: Utterance, listening: Listening, requirements: Requirements) -> Iterator[Finding]:
    def mistake(kind: str, message: str) -> Finding:
        return Finding(Severity.error, split, utterance.id, message, kind)

    place = place_of(utterance)
    if listening.mistake is not None:
        yield mistake(UNREADABLE, listening.mistake)
    if utterance.sampling_rate != requirements.sampling_rate:
        yield mistake(
            "sampling rate",
            f"{place}: it has {utterance.sampling_rate} Hz, the configuration expects {requirements.sampling_rate} Hz; "
            "convert the audio or change data.sampling_rate.",
        )
    if not utterance.text.strip():
        yield mistake("empty transcript", f"{place}: the transcript is empty; write it or leave the utterance out.")
        return
    try:
        labels = requirements.labels(utterance.text)
    except DataError as fault:
        yield mistake("alphabet", f"{place}: {fault}")
        return
    needed, frames = ctc_frames(labels), requirements.output_frames(split, utterance)
    if frames < needed and utterance.sampling_rate == requirements.sampling_rate:
        yield mistake(
            "too short for CTC",
            f"{place}: at its fastest the model writes {frames} frames, but CTC needs {needed} for the transcript; "
            "leave the utterance out, lower model.subsampling or drop the highest of augment.speed_factors "
            "and augment.tempo_factors.",
        )


def ctc_frames(labels: Sequence[int]) -> int:
    """Frames that CTC needs at least: one for each label, and a blank between equal neighbours."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))


def _listen(utterances: Sequence[Utterance], decode: bool, audio: Audio) -> list[Listening]:
    if decode:
        return map_blocks(_Hearing(listen, audio), utterances, 64, "Listening", "utterances")
    return map_blocks(_Hearing(_read_header, audio), utterances, HEADERS, "Reading headers", "utterances")


@dataclass(frozen=True)
class _Hearing:
    """What is done with each utterance of a block, in another process."""

    work: Callable[[Utterance, Audio], Listening]
    audio: Audio

    def __call__(self, utterances: Sequence[Utterance]) -> list[Listening]:
        if self.work is listen:
            self.audio.ahead(utterances)
        return [self.work(utterance, self.audio) for utterance in utterances]


def _read_header(utterance: Utterance, audio: Audio) -> Listening:
    try:
        audio.check(utterance)
    except DataError as fault:
        return Listening(str(fault), None)
    return Listening(None, None, tuple(cut_short(utterance, audio)))
