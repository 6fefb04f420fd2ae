"""The errors of an evaluation: confusions of words and characters, and error rates by subgroup."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jiwer
import numpy as np

from asr.scoring.error_rates import Score, UtteranceScore, alignment_letters, total, unit_of, wrong_pairs
from asr.scoring.error_unit import ErrorUnit

NOTHING = ""
"""Stands in a pair for a missing word or character."""

Confusions = Mapping[tuple[str, str], list[int]]
"""Pairs of reference and hypothesis: the positions of their utterances, once for each time."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A whole evaluation, aligned."""

    scores: list[UtteranceScore]
    words: Confusions
    """Substituted, deleted and inserted words."""
    characters: Confusions

    @property
    def steps(self) -> list[str]:
        """The alignment of each utterance; empty where its hypothesis is correct."""
        return [score.alignment if score.errors else "" for score in self.scores]


def align(rows: Sequence[Mapping[str, Any]], unit: ErrorUnit = ErrorUnit.word) -> Alignment:
    """Aligns the lines of a hypotheses.jsonl by words and by characters, as jiwer counts them.

    Args:
        rows: The lines.
        unit: What errors are counted in.
    """
    words: dict[tuple[str, str], list[int]] = defaultdict(list)
    characters: dict[tuple[str, str], list[int]] = defaultdict(list)
    # Most utterances of a good model are correct, and aligning takes time.
    wrong = [(place, row) for place, row in enumerate(rows) if row["reference"] != row["hypothesis"]]
    found: dict[int, tuple[str, int, int]] = {}
    if wrong:
        texts = [row["reference"] for _, row in wrong], [row["hypothesis"] for _, row in wrong]
        spelled, worded = jiwer.process_characters(*texts), jiwer.process_words(*texts)
        for number, (place, _) in enumerate(wrong):
            word_pairs, character_pairs = (list(wrong_pairs(each, number, NOTHING)) for each in (worded, spelled))
            for confusions, pairs in ((words, word_pairs), (characters, character_pairs)):
                for pair in pairs:
                    confusions[pair].append(place)
            steps = alignment_letters(worded if unit is ErrorUnit.word else spelled, number)
            found[place] = steps, len(word_pairs), len(character_pairs)
    scores = []
    for place, row in enumerate(rows):
        steps, word_errors, character_errors = found.get(place) or ("=" * len(unit.items(row["reference"])), 0, 0)
        counts = Counter(steps)
        scores.append(
            UtteranceScore(
                **{name: row[name] for name in ("id", "speaker", "duration", "reference", "hypothesis")},
                unit=unit,
                words=len(ErrorUnit.word.items(row["reference"])),
                characters=len(ErrorUnit.character.items(row["reference"])),
                substitutions=counts["S"],
                deletions=counts["D"],
                insertions=counts["I"],
                word_errors=word_errors,
                character_errors=character_errors,
                alignment=steps,
                ctc_loss_per_token=row.get("ctc_loss_per_token"),
                confidence=row.get("confidence"),
            )
        )
    return Alignment(scores, words, characters)


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
    score: Score
    ids: list[str]

    @property
    def utterances(self) -> int:
        """How many they are."""
        return self.score.utterances

    @property
    def rate(self) -> float:
        """The error rate that counts."""
        return self.score.rate if self.score.size else 0.0

    def described(self) -> dict[str, Any]:
        """As a report shows it, without the ids: words and wer, or characters and cer."""
        score = self.score
        counts = {"utterances": score.utterances, f"{score.unit}s": score.size, "errors": score.errors}
        return {"label": self.label, **counts, score.unit.rate: self.rate}


def speaking_rate(score: UtteranceScore) -> float:
    """Words, or characters, of the reference for each second."""
    return score.size / score.duration


def grouped(scores: Sequence[UtteranceScore], levels: Mapping[str, float]) -> dict[str, list[Group]]:
    """The subgroups of each measure.

    Args:
        scores: All utterances of an evaluation.
        levels: Estimated SNR (dB), by id; utterances without it are in none of its groups.
    """
    groups = {
        "speaker": by_speaker(scores),
        "length": by_length(scores),
        "speaking rate": in_parts(scores, speaking_rate, f"{unit_of(scores)}s/s"),
    }
    if known := [score for score in scores if score.id in levels]:
        groups["estimated SNR"] = in_parts(known, lambda score: levels[score.id], "dB")
    return groups


def by_speaker(scores: Sequence[UtteranceScore]) -> list[Group]:
    """One group for each speaker, the worst first; none where no speaker is known."""
    speakers = _collect(scores, lambda score: score.speaker)
    groups = [_group(speaker or "unknown", members) for speaker, members in speakers.items()]
    return sorted(groups, key=lambda group: (-group.rate, group.label)) if set(speakers) != {""} else []


def by_length(scores: Sequence[UtteranceScore]) -> list[Group]:
    """Groups of doubling length, empty ones left out."""
    between = [f"{low:g} to {2 * low:g} s" for low in LENGTHS[:-1]]
    labels = [f"under {LENGTHS[0]:g} s", *between, f"{LENGTHS[-1]:g} s and more"]
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
    return Group(label, total(members), [member.id for member in members])
