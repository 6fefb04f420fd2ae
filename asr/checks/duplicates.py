"""What only shows between utterances: what several splits share, and what contradicts itself."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise

from asr.checks.findings import Finding, Severity, place_of, warning
from asr.checks.signal import Listening
from asr.data.utterance import Utterance

Named = Sequence[tuple[str, Utterance]]


def shared_audio(named: Named, listenings: Sequence[Listening]) -> Iterator[Finding]:
    """Audio that is in several splits, and audio that has two transcripts."""
    first: dict[bytes, tuple[str, Utterance]] = {}
    for (split, utterance), listening in zip(named, listenings, strict=True):
        if listening.digest is None:
            continue
        other_split, other = first.setdefault(listening.digest, (split, utterance))
        if other_split != split:
            message = f"{place_of(utterance)}: its audio is that of {other.id} in {other_split}; leave one of them out."
            yield Finding(Severity.error, split, utterance.id, message, "audio in two splits", (other_split, other.id))
        elif other.text != utterance.text:
            yield warning(
                "two transcripts",
                f"its audio is that of {other.id}, whose transcript is another; one of them belongs to a lost file.",
            ).about(split, utterance)


def shared_sentences(splits: Mapping[str, Sequence[Utterance]]) -> Iterator[Finding]:
    """Sentences of dev and test that train has too."""
    known = {_letters(utterance.text) for utterance in splits.get("train", ())} - {""}
    for split, utterances in splits.items():
        shared = [utterance for utterance in utterances if _letters(utterance.text) in known]
        if split != "train" and shared:
            message = (
                f"{len(shared)} of its {len(utterances)} sentences stand in train too, as that of {shared[0].id}, "
                f"{shared[0].text[:60]!r}: what a model gets right there may be learned by heart."
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
                "so it tells too little of unseen speakers."
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
                    "overlap", f"{common:.2f} s of it are in {before.id} too; are its offset and duration right?"
                ).about(split, utterance)


def _letters(text: str) -> str:
    return " ".join(text.casefold().split())
