"""Error rates by subgroup: by speaker, length, speaking rate, estimated SNR, and by further fields of a manifest."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from asr.scoring.bootstrap import part_interval, resampling_units
from asr.scoring.error_rates import Score, UtteranceScore, total, unit_of

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
    interval: tuple[float, float] | None = None
    """95 % interval of the rate; None where it was not computed, or nothing is known of it."""

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
        described = {"label": self.label, **counts, score.unit.rate: self.rate}
        if self.interval is not None:
            described |= {f"{score.unit.rate}_low": self.interval[0], f"{score.unit.rate}_high": self.interval[1]}
        return described


def speaking_rate(score: UtteranceScore) -> float:
    """Words, or characters, of the reference for each second."""
    return score.size / score.duration


def grouped(scores: Sequence[UtteranceScore], levels: Mapping[str, float]) -> dict[str, list[Group]]:
    """The subgroups of each measure.

    Args:
        scores: All utterances of an evaluation.
        levels: Estimated SNR (dB), by id; utterances without it are in none of its groups.

    Returns:
        By the measure. Those of the fields of the manifest, and of pairs of fields, come first.
    """
    groups = {
        **by_fields(scores),
        "speaker": by_speaker(scores),
        "length": by_length(scores),
        "speaking rate": in_parts(scores, speaking_rate, f"{unit_of(scores)}s/s"),
    }
    if known := [score for score in scores if score.id in levels]:
        groups[SNR] = in_parts(known, lambda score: levels[score.id], "dB")
    return groups


def by_speaker(scores: Sequence[UtteranceScore]) -> list[Group]:
    """One group for each speaker, the worst first; none where no speaker is known."""
    speakers = _collect(scores, lambda score: score.speaker)
    groups = [_group(speaker or "unknown", members) for speaker, members in speakers.items()]
    return sorted(groups, key=lambda group: (-group.rate, group.label)) if set(speakers) != {""} else []


SNR = "estimated SNR"
MOST_VALUES = 50
"""Of a field, or of a pair of fields: one with more, such as a title, makes no subgroups."""
MOST_PAIRED = 6
"""Fields that are combined in pairs, the first ones."""
NUMERIC = 8
"""A field with more different numbers than this is cut into parts."""


def by_fields(scores: Sequence[UtteranceScore]) -> dict[str, list[Group]]:
    """The subgroups by each further field of the manifest, and by each pair of fields, as `sex, device`, with their
    intervals."""
    units = dict(zip((score.id for score in scores), resampling_units(scores), strict=True))
    labels = {field: values for field in field_names(scores) if (values := _labels(scores, field)) is not None}
    named = {field: lambda score, of=values: of.get(score.id) for field, values in labels.items()}
    for one, two in combinations([*labels][:MOST_PAIRED], 2):
        both = {id: f"{labels[one][id]}, {labels[two][id]}" for id in labels[one] if id in labels[two]}
        if len(set(both.values())) <= MOST_VALUES:
            named[f"{one}, {two}"] = lambda score, of=both: of.get(score.id)
    groups = {}
    for measure, label in named.items():
        members = _collect(scores, label)
        members.pop(None, None)
        groups[measure] = [_with_interval(_group(name, part), part, units) for name, part in _in_order(members)]
    return groups


def field_names(scores: Sequence[UtteranceScore]) -> list[str]:
    """The further fields that utterances have, in their order."""
    return list(dict.fromkeys(name for score in scores for name, _ in score.fields))


def _labels(scores: Sequence[UtteranceScore], field: str) -> dict[str, str] | None:
    """What an utterance has in a field, by its id; None where it has too many values."""
    values = {score.id: value for score in scores for name, value in score.fields if name == field}
    numbers = [value for value in values.values() if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and len(set(numbers)) > NUMERIC:
        known = [score for score in scores if score.id in values]
        parts = in_parts(known, lambda score: float(values[score.id]), "")
        return {id: part.label.strip() for part in parts for id in part.ids}
    texts = {id: str(value).strip() for id, value in values.items()}
    return texts if len(set(texts.values())) <= MOST_VALUES else None


def _in_order(members: Mapping[str, list[UtteranceScore]]) -> list[tuple[str, list[UtteranceScore]]]:
    """Those with numbers in their labels by these, as the parts of an age; others by their labels."""

    def key(item: tuple[str, list[UtteranceScore]]) -> tuple[list[float], str]:
        return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", item[0])], item[0]

    return sorted(members.items(), key=key)


def _with_interval(group: Group, members: Sequence[UtteranceScore], units: Mapping[str, int]) -> Group:
    errors, sizes = [member.errors for member in members], [member.size for member in members]
    return replace(group, interval=part_interval(errors, sizes, np.array([units[member.id] for member in members])))


def by_length(scores: Sequence[UtteranceScore]) -> list[Group]:
    """Groups of doubling length, empty ones left out."""
    between = [f"{low:g} to {2 * low:g} s" for low in LENGTHS[:-1]]
    labels = [f"under {LENGTHS[0]:g} s", *between, f"{LENGTHS[-1]:g} s and more"]
    lengths = _collect(scores, lambda score: bisect_right(LENGTHS, score.duration))
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
