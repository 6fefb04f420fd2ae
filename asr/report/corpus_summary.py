"""The corpus of runs: durations, speakers, characters, out-of-vocabulary words and findings of the corpus check."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asr.checks.findings import Finding
from asr.data.utterance import Utterance

BINS = 30
LISTED = 200
"""The most words and findings in a list; the others are counted."""


def describe(splits: Mapping[str, Sequence[Utterance]], findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything that the report shows of a corpus.

    Args:
        splits: Utterances by the names of their splits.
        findings: Of the corpus check.
    """
    longest = max((utterance.duration for utterances in splits.values() for utterance in utterances), default=1.0)
    edges = np.linspace(0, longest, BINS + 1)
    known = {word for utterance in splits.get("train", ()) for word in utterance.text.split()}
    return {
        "edges": edges.round(3).tolist(),
        "splits": {split: _describe_split(utterances, edges, known) for split, utterances in splits.items()},
        "characters": _characters(splits),
        "findings": [
            {
                "severity": finding.severity.value,
                "split": finding.split,
                "id": finding.utterance,
                "message": str(finding),
            }
            for finding in findings[:LISTED]
        ],
        "finding_count": len(findings),
    }


def _describe_split(utterances: Sequence[Utterance], edges: Any, known: set[str]) -> dict[str, Any]:
    durations = np.array([utterance.duration for utterance in utterances])
    words = Counter(word for utterance in utterances for word in utterance.text.split())
    unknown = Counter({word: count for word, count in words.items() if word not in known})
    speakers: dict[str, list[float]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance.duration)
    return {
        "utterances": len(utterances),
        "seconds": round(float(durations.sum()), 2),
        "shortest": round(float(durations.min()), 3),
        "median": round(float(np.median(durations)), 3),
        "longest": round(float(durations.max()), 3),
        "histogram": np.histogram(durations, edges)[0].tolist(),
        "words": words.total(),
        "different_words": len(words),
        "unknown_words": unknown.total(),
        "unknown": unknown.most_common(LISTED),
        "speakers": sorted(
            ([speaker, len(lengths), round(sum(lengths), 2)] for speaker, lengths in speakers.items()),
            key=lambda row: (-row[2], row[0]),
        ),
    }


def _characters(splits: Mapping[str, Sequence[Utterance]]) -> list[list[str | int]]:
    """Each character with its count in every split."""
    counts = {
        split: Counter(character for utterance in utterances for character in utterance.text)
        for split, utterances in splits.items()
    }
    characters = sorted({character for counter in counts.values() for character in counter})
    return [[character, *(counter[character] for counter in counts.values())] for character in characters]
