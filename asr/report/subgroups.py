"""WER by subgroup: speaker, length, speaking rate and estimated SNR."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from asr.scoring.error_rates import UtteranceScore, total

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
