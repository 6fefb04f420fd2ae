"""The utterances of an evaluation aligned with their hypotheses, and the confusions of words and characters."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer

from asr.scoring.error_rates import UtteranceScore, alignment_letters

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
