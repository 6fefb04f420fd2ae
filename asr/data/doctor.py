"""The doctor: finds what would spoil a training or its evaluation, before either begins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.data.audio import check_header
from asr.data.checks.across import overlapping, shared_audio, shared_sentences, shared_speakers
from asr.data.checks.findings import Complaint, Finding, Severity, place_of
from asr.data.checks.listening import Listening, listen
from asr.data.checks.pace import pace_findings
from asr.data.checks.transcripts import transcript_complaints
from asr.data.parallel import map_blocks
from asr.data.utterance import Utterance
from asr.errors import DataError

__all__ = ["UNREADABLE", "Finding", "Requirements", "Severity", "Splits", "ctc_frames", "examine"]

UNREADABLE = "unreadable"
"""The kind of what may have been sound once: a missing or damaged file."""

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


def examine(splits: Splits, requirements: Requirements, decode: bool = True) -> list[Finding]:
    """Examines all utterances.

    Args:
        splits: Utterances by the names of their splits.
        requirements: What they must fulfil.
        decode: Decode all audio, on all cores; else only the headers are read, which is quick, and neither damage
            within a file, nor what is wrong with sound, nor audio shared between splits is found.

    Returns:
        Errors of utterances in the order of the manifests; warnings about those that have no error, likewise; then what
        concerns several splits.
    """
    named = [(split, utterance) for split, utterances in splits.items() for utterance in utterances]
    listenings = _listen([utterance for _, utterance in named], decode)
    errors: list[Finding] = []
    warnings: list[Finding] = []
    sound: list[tuple[str, Utterance]] = []
    for (split, utterance), listening in zip(named, listenings, strict=True):
        mistakes = [*_mistakes(split, utterance, listening, requirements)]
        complaints = [complaint.about(split, utterance) for complaint in _complaints(utterance, listening)]
        mistakes += [finding for finding in complaints if finding.severity is Severity.error]
        errors += mistakes
        if not mistakes:
            warnings += complaints
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


def _listen(utterances: Sequence[Utterance], decode: bool) -> list[Listening]:
    if decode:
        return map_blocks(_decode, utterances, 64, "Listening", "utterances")
    return map_blocks(_read_headers, utterances, 8192, "Reading headers", "utterances")


def _decode(utterances: Sequence[Utterance]) -> list[Listening]:
    return [listen(utterance) for utterance in utterances]


def _read_headers(utterances: Sequence[Utterance]) -> list[Listening]:
    return [_read_header(utterance) for utterance in utterances]


def _read_header(utterance: Utterance) -> Listening:
    try:
        check_header(utterance)
    except DataError as fault:
        return Listening(str(fault), None)
    return Listening(None, None)
