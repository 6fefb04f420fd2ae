"""x"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jiwer
import numpy as np

from asr.scoring.error_rates import UtteranceScore, alignment_letters, total

NOTHING = ""
"""Stands in a pair for a missing word or character."""

Confusions = Mapping[tuple[str, str], list[int]]
"""Pairs of reference and hypothesis: the positions of their utterances, once for each time."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """An utterance with the alignment of its reference and its hypothesis."""

    score: UtteranceScore
    steps: str
    """A letter for each step over the words: = right, S substituted, D deleted, I inserted."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A whole evaluation, aligned."""

    utterances: list[Aligned]
    words: Confusions
    """Substituted, deleted and inserted words."""
    characters: Confusions

    @property
    def scores(self) -> list[UtteranceScore]:
        """The counts of every utterance."""
        return [utterance.score for utterance in self.utterances]


def align(rows: Sequence[Mapping[str, Any]]) -> Alignment:
    """Aligns the lines of a hypotheses.jsonl by words and by characters, as jiwer counts them."""
    words: dict[tuple[str, str], list[int]] = defaultdict(list)
    characters: dict[tuple[str, str], list[int]] = defaultdict(list)
    # Most utterances of a good model are correct, and aligning takes time.
    wrong = [(place, row) for place, row in enumerate(rows) if row["reference"] != row["hypothesis"]]
    by_words: dict[int, tuple[str, Counter[str]]] = {}
    by_characters: dict[int, int] = {}
    if wrong:
        texts = [row["reference"] for _, row in wrong], [row["hypothesis"] for _, row in wrong]
        spelled = jiwer.process_characters(*texts)
        worded = jiwer.process_words(*texts)
        for number, (place, _) in enumerate(wrong):
            steps = _walk(worded, number, place, words)
            by_words[place] = steps, Counter(steps)
            by_characters[place] = sum(step != "=" for step in _walk(spelled, number, place, characters))
    utterances = []
    for place, row in enumerate(rows):
        steps, counts = by_words.get(place) or ("", Counter({"=": len(row["reference"].split())}))
        score = UtteranceScore(
            id=row["id"],
            speaker=row["speaker"],
            duration=row["duration"],
            reference=row["reference"],
            hypothesis=row["hypothesis"],
            words=counts["="] + counts["S"] + counts["D"],
            characters=len(row["reference"].strip()),
            substitutions=counts["S"],
            deletions=counts["D"],
            insertions=counts["I"],
            character_errors=by_characters.get(place, 0),
            alignment=steps or "=" * counts["="],
            ctc_loss_per_token=row.get("ctc_loss_per_token"),
            confidence=row.get("confidence"),
        )
        utterances.append(Aligned(score, steps if score.errors else ""))
    return Alignment(utterances, words, characters)


def _walk(output: Any, number: int, place: int, confusions: dict[tuple[str, str], list[int]]) -> str:
    """The steps of one utterance; collects its errors."""
    reference, hypothesis = output.references[number], output.hypotheses[number]
    for chunk in output.alignments[number]:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "substitute":
            pairs = list(zip(left, right, strict=True))
        elif chunk.type == "delete":
            pairs = [(item, NOTHING) for item in left]
        else:
            pairs = [(NOTHING, item) for item in right]
        if chunk.type != "equal":
            for pair in pairs:
                confusions[pair].append(place)
    return alignment_letters(output, number)


@dataclass(frozen=True, slots=True)
class Confusion:
    """A word or character of the reference that was recognized as something else."""

    reference: str
    hypothesis: str
    count: int
    places: list[int]
    """Positions of the utterances, each once."""


def most_frequent(confusions: Confusions, count: int) -> list[Confusion]:
    """The most frequent pairs."""
    ranked = sorted(confusions.items(), key=lambda item: (-len(item[1]), item[0]))[:count]
    return [Confusion(*pair, len(places), sorted(set(places))) for pair, places in ranked]


Key = TypeVar("Key")

LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Boundaries between groups of length (s)."""
PARTS = 4
"""Groups of equal size, where there are no natural boundaries."""


@dataclass(frozen=True)
class Group:
    """Some utterances of an evaluation, scored together."""

    label: str
    utterances: int
    words: int
    errors: int
    ids: list[str]

    @property
    def wer(self) -> float:
        """A fraction."""
        return self.errors / self.words if self.words else 0.0


def speaking_rate(score: UtteranceScore) -> float:
    """Words of the reference for each second."""
    return score.words / score.duration


def grouped(scores: Sequence[UtteranceScore], levels: Mapping[str, float]) -> dict[str, list[Group]]:
    """The subgroups of each measure.

    Args:
        scores: All utterances of an evaluation.
        levels: Estimated SNR (dB), by id; utterances without it are in none of its groups.
    """
    groups = {
        "speaker": by_speaker(scores),
        "length": by_length(scores),
        "speaking rate": in_parts(scores, speaking_rate, "words/s"),
    }
    known = [score for score in scores if score.id in levels]
    if known:
        groups["estimated SNR"] = in_parts(known, lambda score: levels[score.id], "dB")
    return groups


def by_speaker(scores: Sequence[UtteranceScore]) -> list[Group]:
    """One group for each speaker, the worst first; none where no speaker is known."""
    speakers = _collect(scores, lambda score: score.speaker)
    groups = [_group(speaker or "unknown", members) for speaker, members in speakers.items()]
    return sorted(groups, key=lambda group: (-group.wer, group.label)) if set(speakers) != {""} else []


def by_length(scores: Sequence[UtteranceScore]) -> list[Group]:
    """Groups of doubling length, empty ones left out."""
    labels = [
        f"under {LENGTHS[0]:g} s",
        *(f"{low:g} to {2 * low:g} s" for low in LENGTHS[:-1]),
        f"{LENGTHS[-1]:g} s and more",
    ]
    lengths = _collect(scores, lambda score: int(np.searchsorted(LENGTHS, score.duration, side="right")))
    return [_group(labels[place], lengths[place]) for place in sorted(lengths)]


def in_parts(scores: Sequence[UtteranceScore], measure: Callable[[UtteranceScore], float], unit: str) -> list[Group]:
    """Groups of about equal size, from the lowest to the highest of a measure."""
    values = [measure(score) for score in scores]
    limits = np.unique(np.quantile(values, np.linspace(0, 1, PARTS + 1)))
    places = np.clip(np.searchsorted(limits, values, side="right") - 1, 0, max(0, len(limits) - 2))
    groups = []
    for place in np.unique(places):
        members = [(score, value) for score, value, at in zip(scores, values, places, strict=True) if at == place]
        low, high = min(value for _, value in members), max(value for _, value in members)
        groups.append(_group(f"{low:.1f} to {high:.1f} {unit}", [score for score, _ in members]))
    return groups


def _collect(scores: Sequence[UtteranceScore], key: Callable[[UtteranceScore], Key]) -> dict[Key, list[UtteranceScore]]:
    collected: dict[Key, list[UtteranceScore]] = defaultdict(list)
    for score in scores:
        collected[key(score)].append(score)
    return collected


def _group(label: str, members: Sequence[UtteranceScore]) -> Group:
    score = total(members)
    return Group(label, score.utterances, score.words, score.errors, [member.id for member in members])
