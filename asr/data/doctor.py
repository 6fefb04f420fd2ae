"""The doctor: finds what would spoil a training or its evaluation, before either begins."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, pairwise

from asr.data.audio import check_header, read_waveform
from asr.data.parallel import map_blocks
from asr.data.utterance import Utterance
from asr.errors import DataError

Splits = Mapping[str, Sequence[Utterance]]


class Severity(Enum):
    error = "error"
    warning = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an utterance or a split; prints as one line."""

    severity: Severity
    split: str
    utterance: str
    """Its id; empty where the whole split is meant."""
    message: str

    def __str__(self) -> str:
        return f"{self.severity.value} in {self.split}: {' '.join(self.message.split())}"


@dataclass(frozen=True)
class Requirements:
    """What a configuration asks of every utterance."""

    sampling_rate: int
    """The only one allowed (Hz)."""
    labels: Callable[[str], Sequence[int]]
    """Tokens of a transcript; raises DataError for a character that has none."""
    output_frames: Callable[[str, Utterance], int]
    """Frames that the model writes for an utterance of a split, at the fastest speed at which it is played."""


@dataclass(frozen=True, slots=True)
class Listening:
    """What became of an audio file."""

    mistake: str | None
    digest: bytes | None
    """Of the samples, where they were decoded."""


def examine(splits: Splits, requirements: Requirements, decode: bool = True) -> list[Finding]:
    """Examines all utterances.

    Args:
        splits: Utterances by the names of their splits.
        requirements: What they must fulfil.
        decode: Decode all audio, on all cores; else only the headers are read, which is quick, and neither damage
            within a file nor audio shared between splits is found.

    Returns:
        Errors of utterances in the order of the manifests, then what concerns several splits.
    """
    named = [(split, utterance) for split, utterances in splits.items() for utterance in utterances]
    listenings = _listen([utterance for _, utterance in named], decode)
    findings = [
        Finding(Severity.error, split, utterance.id, mistake)
        for (split, utterance), listening in zip(named, listenings, strict=True)
        for mistake in _mistakes(split, utterance, listening, requirements)
    ]
    return [*findings, *_shared_audio(named, listenings), *_shared_speakers(splits)]


def _mistakes(split: str, utterance: Utterance, listening: Listening, requirements: Requirements) -> Iterator[str]:
    place = _place(utterance)
    if listening.mistake is not None:
        yield listening.mistake
    if utterance.sampling_rate != requirements.sampling_rate:
        yield (
            f"{place}: it has {utterance.sampling_rate} Hz, the configuration expects {requirements.sampling_rate} Hz; "
            "convert the audio or change data.sampling_rate."
        )
    if not utterance.text.strip():
        yield f"{place}: the transcript is empty; write it or leave the utterance out."
        return
    try:
        labels = requirements.labels(utterance.text)
    except DataError as error:
        yield f"{place}: {error}"
        return
    needed, frames = ctc_frames(labels), requirements.output_frames(split, utterance)
    if frames < needed and utterance.sampling_rate == requirements.sampling_rate:
        yield (
            f"{place}: at its fastest the model writes {frames} frames, but CTC needs {needed} for the transcript; "
            "leave the utterance out, lower model.subsampling or drop the highest of augment.speed_factors."
        )


def ctc_frames(labels: Sequence[int]) -> int:
    """Frames that CTC needs at least: one for each label, and a blank between equal neighbours."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))


def _listen(utterances: Sequence[Utterance], decode: bool) -> list[Listening]:
    if decode:
        return map_blocks(_decode, utterances, 64, "Listening", "utterances")
    return map_blocks(_read_headers, utterances, 8192, "Reading headers", "utterances")


def _decode(utterances: Sequence[Utterance]) -> list[Listening]:
    return [_attempt(utterance, _digest) for utterance in utterances]


def _read_headers(utterances: Sequence[Utterance]) -> list[Listening]:
    return [_attempt(utterance, check_header) for utterance in utterances]


def _attempt(utterance: Utterance, read: Callable[[Utterance], bytes | None]) -> Listening:
    try:
        return Listening(None, read(utterance))
    except DataError as error:
        return Listening(str(error), None)


def _digest(utterance: Utterance) -> bytes:
    return hashlib.blake2b(read_waveform(utterance).numpy().tobytes(), digest_size=16).digest()


def _shared_audio(named: Sequence[tuple[str, Utterance]], listenings: Sequence[Listening]) -> Iterator[Finding]:
    first: dict[bytes, tuple[str, Utterance]] = {}
    for (split, utterance), listening in zip(named, listenings, strict=True):
        if listening.digest is None:
            continue
        other_split, other = first.setdefault(listening.digest, (split, utterance))
        if other_split != split:
            message = f"{_place(utterance)}: its audio is that of {other.id} in {other_split}; leave one of them out."
            yield Finding(Severity.error, split, utterance.id, message)


def _shared_speakers(splits: Splits) -> Iterator[Finding]:
    speakers = defaultdict(set)
    for split, utterances in splits.items():
        speakers[split] = {utterance.speaker for utterance in utterances if utterance.speaker}
    for one, other in combinations(splits, 2):
        shared = sorted(speakers[one] & speakers[other])
        if shared:
            names = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
            message = (
                f"{len(shared)} of its {len(speakers[other])} speakers also speak in {one} ({names}), "
                "so it tells too little of unseen speakers."
            )
            yield Finding(Severity.warning, other, "", message)


def _place(utterance: Utterance) -> str:
    return f"Utterance {utterance.id} ({utterance.audio_filepath})"
