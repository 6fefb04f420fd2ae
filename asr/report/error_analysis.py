"""The errors of an evaluation: confusions of words and characters, and error rates by class of words."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jiwer

from asr.data.utterance import Utterance, extra_of
from asr.scoring.bootstrap import part_interval, resampling_units
from asr.scoring.error_rates import UtteranceScore, alignment_letters, wrong_pairs
from asr.scoring.error_unit import ErrorUnit
from asr.text.word_classes import class_of

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
    word_steps: list[str]
    """The alignment of each utterance by words; empty where its hypothesis is correct."""

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
    word_steps = [""] * len(rows)
    if wrong:
        texts = [row["reference"] for _, row in wrong], [row["hypothesis"] for _, row in wrong]
        spelled, worded = jiwer.process_characters(*texts), jiwer.process_words(*texts)
        for number, (place, _) in enumerate(wrong):
            word_pairs, character_pairs = (list(wrong_pairs(each, number, NOTHING)) for each in (worded, spelled))
            for confusions, pairs in ((words, word_pairs), (characters, character_pairs)):
                for pair in pairs:
                    confusions[pair].append(place)
            word_steps[place] = alignment_letters(worded, number)
            steps = word_steps[place] if unit is ErrorUnit.word else alignment_letters(spelled, number)
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
                fields=extra_of(fields) if isinstance(fields := row.get("fields"), dict) else (),
            )
        )
    return Alignment(scores, words, characters, word_steps)


def with_fields(alignment: Alignment, utterances: Mapping[str, Utterance]) -> Alignment:
    """The same with the further fields of the manifest, where an evaluation has none: it is older than they are."""
    if any(score.fields for score in alignment.scores):
        return alignment
    scores = [
        replace(score, fields=utterances[score.id].extra) if score.id in utterances else score
        for score in alignment.scores
    ]
    return replace(alignment, scores=scores)


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


OOV = "out-of-vocabulary words"
OTHER = "other words"


@dataclass(frozen=True, slots=True)
class WordClass:
    """The words of the references that are in a class: how many of them are substituted or deleted."""

    label: str
    words: int
    errors: int
    wer: float
    wer_low: float | None
    """Lower end of the 95 % interval; None where nothing is known of it."""
    wer_high: float | None
    places: list[int]
    """Positions of the utterances in which such a word is wrong."""


@dataclass(frozen=True)
class ReferenceWords:
    """The classes of the words of references, which all evaluations of the same utterances share."""

    labels: Mapping[str, Sequence[str]]
    """The classes of each word."""
    counts: Mapping[str, Mapping[int, int]]
    """By class, the number of its words in each utterance that has some, by its position."""


def classify(
    references: Sequence[str], classes: Mapping[str, frozenset[str]], vocabulary: frozenset[str] | None
) -> ReferenceWords:
    """Finds the classes of all words: those that occur, words in no class, and words that training lacks.

    Args:
        references: Of all utterances.
        classes: Words in lower case, by class.
        vocabulary: The words of the training transcripts; None where they are not known.
    """
    labels: dict[str, list[str]] = {}
    counts: dict[str, dict[int, int]] = {label: {} for label in (*classes, OTHER, OOV)}
    for place, reference in enumerate(references):
        for word in ErrorUnit.word.items(reference):
            if word not in labels:
                found = class_of(classes, word) or [OTHER]
                labels[word] = [*found, OOV] if vocabulary is not None and word not in vocabulary else found
            for label in labels[word]:
                of_class = counts.setdefault(label, {})
                of_class[place] = of_class.get(place, 0) + 1
    return ReferenceWords(labels, {label: places for label, places in counts.items() if places})


def by_word_class(alignment: Alignment, words: ReferenceWords) -> list[WordClass]:
    """The error rate of each class of words. Inserted words belong to no class; a word may be in several."""
    wrong: dict[str, dict[int, int]] = {label: {} for label in words.counts}
    for place, (score, steps) in enumerate(zip(alignment.scores, alignment.word_steps, strict=True)):
        if steps:
            for word, step in zip(ErrorUnit.word.items(score.reference), steps.replace("I", ""), strict=True):
                if step != "=":
                    for label in words.labels[word]:
                        wrong[label][place] = wrong[label].get(place, 0) + 1
    units = resampling_units(alignment.scores)
    return [_word_class(label, wrong[label], sizes, units) for label, sizes in words.counts.items()]


def _word_class(label: str, wrong: Mapping[int, int], sizes: Mapping[int, int], units: Any) -> WordClass:
    errors, words = sum(wrong.values()), sum(sizes.values())
    drawn = part_interval([wrong.get(place, 0) for place in sizes], [*sizes.values()], units[[*sizes]])
    low, high = drawn or (None, None)
    return WordClass(label, words, errors, errors / words, low, high, sorted(wrong))
