"""What only shows between utterances: duplicates in several splits, contradicting transcripts, overlaps."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise

from asr.checks.audio_quality import AudioCheck
from asr.checks.findings import Finding, Severity, warning
from asr.data.utterance import Utterance

Named = Sequence[tuple[str, Utterance]]


def shared_audio(named: Named, audio_checks: Sequence[AudioCheck]) -> Iterator[Finding]:
    """Audio that is in several splits, and audio that has two transcripts."""
    first: dict[bytes, tuple[str, Utterance]] = {}
    for (split, utterance), audio_check in zip(named, audio_checks, strict=True):
        if audio_check.digest is None:
            continue
        other_split, other = first.setdefault(audio_check.digest, (split, utterance))
        if other_split != split:
            message = f"{utterance.place}: it has the same audio as {other.id} in {other_split}; leave one of them out."
            yield Finding(Severity.error, split, utterance.id, message, "audio in two splits", (other_split, other.id))
        elif other.text != utterance.text:
            yield warning(
                "two transcripts",
                f"it has the same audio as {other.id}, whose transcript differs; one of them belongs to another file.",
            ).about(split, utterance)


def shared_sentences(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[Finding]:
    """Sentences of dev and test that are in train too."""
    known = {_letters(utterance.text) for utterance in splits.get("train", ())} - {""}
    for split, utterances in splits.items():
        shared = [utterance for utterance in utterances if _letters(utterance.text) in known]
        if split != "train" and shared:
            message = (
                f"{len(shared)} of its {len(utterances)} sentences are in train too, such as that of {shared[0].id}, "
                f"{shared[0].text[:60]!r}: a model may get them right because it memorized them."
            )
            yield Finding(Severity.warning, split, "", message, "sentences in two splits")


def shared_speakers(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[Finding]:
    """Speakers of one split who speak in another."""
    speakers = defaultdict(set)
    for split, utterances in splits.items():
        speakers[split] = {utterance.speaker for utterance in utterances if utterance.speaker}
    for one, other in combinations(splits, 2):
        shared = sorted(speakers[one] & speakers[other])
        if shared:
            names = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
            message = (
                f"{len(shared)} of its {len(speakers[other])} speakers also speak in {one} ({names}), "
                "so it says too little about unseen speakers."
            )
            yield Finding(Severity.warning, other, "", message, "speakers in two splits")


def overlapping(named: Named) -> Iterator[Finding]:
    """Utterances of one file that overlap by more than half of the shorter one."""
    of_file = defaultdict(list)
    for split, utterance in named:
        of_file[utterance.audio_filepath].append((split, utterance))
    for utterances in of_file.values():
        utterances.sort(key=lambda item: item[1].offset)
        for (_, before), (split, utterance) in pairwise(utterances):
            common = min(before.offset + before.duration, utterance.offset + utterance.duration) - utterance.offset
            if common > 0.5 * min(before.duration, utterance.duration) and before.text != utterance.text:
                yield warning(
                    "overlap", f"{common:.2f} s of it is in {before.id} too; are its offset and duration right?"
                ).about(split, utterance)


def _letters(text: str) -> str:
    return " ".join(text.casefold().split())
