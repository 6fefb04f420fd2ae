"""Word and character error rates, counted by jiwer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from operator import attrgetter

import jiwer

from asr.common.errors import DataError
from asr.data.utterance import Extra, Utterance
from asr.scoring.error_unit import ErrorUnit
from asr.text.phone import PhoneTokenizer
from asr.text.protocol import Tokenizer

LETTERS = {"equal": "=", "substitute": "S", "delete": "D", "insert": "I"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """The counts of an error rate."""

    unit: ErrorUnit = ErrorUnit.word
    """What substitutions, deletions, insertions, `errors` and `rate` are of."""
    words: int
    """Words of the reference."""
    characters: int
    """Characters of the reference, its spaces counted."""
    substitutions: int
    deletions: int
    insertions: int
    word_errors: int
    character_errors: int
    frames: int = 0
    """Labelled frames; of texts there are none, nor segments."""
    segments: int = 0
    """Stretches of speech in the reference."""
    frame_errors: int = 0
    segment_errors: int = 0

    @property
    def errors(self) -> int:
        """Substituted, deleted and inserted words, or characters."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def correct(self) -> int:
        """Words of the reference that are right, or characters."""
        return self.size - self.substitutions - self.deletions

    @property
    def size(self) -> int:
        """Words of the reference, or characters."""
        return self.size_in(self.unit)

    @property
    def rate(self) -> float:
        """The error rate that counts: the WER, or the CER."""
        return self.rate_in(self.unit)

    @property
    def wer(self) -> float:
        """Word error rate, a fraction; above 1 where many words are inserted."""
        return self.rate_in(ErrorUnit.word)

    @property
    def cer(self) -> float:
        """Character error rate, a fraction; spaces count."""
        return self.rate_in(ErrorUnit.character)

    def rate_in(self, unit: ErrorUnit) -> float:
        """The WER or the CER."""
        return self.errors_in(unit) / max(1, self.size_in(unit))  # of normalized words none may be left

    def errors_in(self, unit: ErrorUnit) -> int:
        """Errors in a unit."""
        errors: int = getattr(self, f"{unit}_errors")
        return errors

    def size_in(self, unit: ErrorUnit) -> int:
        """Words, characters, frames or segments of the reference."""
        size: int = getattr(self, f"{unit}s")
        return size


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceScore(ErrorCounts):
    """The hypothesis of one utterance against its reference."""

    id: str
    speaker: str
    """Empty where it is not known."""
    duration: float
    """Length in seconds."""
    reference: str
    hypothesis: str
    alignment: str = ""
    """A letter for each step over the words, or characters: = right, S substituted, D deleted, I inserted."""
    ctc_loss_per_token: float | None = None
    """-log p(reference) for each of its tokens, in nats; None where it is not known or infinite."""
    confidence: float | None = None
    """Mean probability of the tokens of the hypothesis; None without tokens or where it is not known."""
    fields: Extra = ()
    """Further fields of the utterance, such as sex or device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(ErrorCounts):
    """The counts of many utterances together, so that rates are micro-averaged. Those of several shards add up."""

    utterances: int

    def __add__(self, other: "Score") -> "Score":
        sums = {name: getattr(self, name) + getattr(other, name) for name in (*COUNTS, "utterances")}
        return Score(unit=self.unit, **sums)


COUNTS = tuple(field.name for field in fields(ErrorCounts) if field.name != "unit")
COUNTS_OF = attrgetter(*COUNTS)


def score_utterance(utterance: Utterance, hypothesis: str, unit: ErrorUnit = ErrorUnit.word) -> UtteranceScore:
    """Counts the errors of a hypothesis, which may be empty, in words or characters.

    Raises:
        DataError: The transcript has no word, so that there is no rate.
    """
    if not utterance.text.strip():
        raise DataError(f"The transcript of {utterance.id!r} is empty: transcribe the utterance or leave it out.")
    score = score_texts(utterance.id, utterance.speaker, utterance.duration, utterance.text, hypothesis, unit)
    return replace(score, fields=utterance.extra)


def score_texts(
    id: str, speaker: str, duration: float, reference: str, hypothesis: str, unit: ErrorUnit = ErrorUnit.word
) -> UtteranceScore:
    """Counts the errors of a hypothesis, which may be empty, against a reference, which may not.

    Args:
        id: Of the utterance.
        duration: Its length (s).
        unit: What they are counted in.
    """
    words, characters = (
        process(reference, hypothesis, ErrorUnit.word),
        process(reference, hypothesis, ErrorUnit.character),
    )
    counted = words if unit is ErrorUnit.word else characters
    return UtteranceScore(
        id=id,
        speaker=speaker,
        duration=duration,
        reference=reference,
        hypothesis=hypothesis,
        alignment=alignment_letters(counted, 0),
        unit=unit,
        words=len(words.references[0]),
        characters=len(characters.references[0]),
        substitutions=counted.substitutions,
        deletions=counted.deletions,
        insertions=counted.insertions,
        word_errors=words.substitutions + words.deletions + words.insertions,
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
    )


def with_texts(score: UtteranceScore, reference: str, hypothesis: str) -> UtteranceScore:
    """The score of an utterance with another reference, which may be empty, and another hypothesis."""
    counted = score_texts(score.id, score.speaker, score.duration, reference, hypothesis, score.unit)
    return replace(
        counted, ctc_loss_per_token=score.ctc_loss_per_token, confidence=score.confidence, fields=score.fields
    )


Processed = jiwer.WordOutput | jiwer.CharacterOutput


def process(reference: str | list[str], hypothesis: str | list[str], unit: ErrorUnit) -> Processed:
    """Aligns references with their hypotheses by words or by characters."""
    process = jiwer.process_words if unit is ErrorUnit.word else jiwer.process_characters
    return process(reference, hypothesis)


def alignment_letters(output: Processed, number: int) -> str:
    """The steps from a reference to its hypothesis, a letter each: = right, S substituted, D deleted, I inserted.

    Args:
        output: Of jiwer.
        number: Of the utterance in it.
    """
    return "".join(
        LETTERS[chunk.type] * max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        for chunk in output.alignments[number]
    )


def wrong_pairs(output: Processed, number: int, nothing: str) -> Iterator[tuple[str, str]]:
    """The items of a reference and of its hypothesis that are substituted, deleted or inserted, in their order.

    Args:
        output: Of jiwer.
        number: Of the utterance in it.
        nothing: Stands for a missing item.
    """
    reference, hypothesis = output.references[number], output.hypotheses[number]
    for chunk in output.alignments[number]:
        if chunk.type != "equal":
            left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
            yield from zip_longest(left, right, fillvalue=nothing)


def total(scores: Iterable[UtteranceScore]) -> Score:
    """Adds up the counts of utterances, which are in one unit; all are zero without utterances."""
    scores = list(scores)
    columns = zip([0] * len(COUNTS), *map(COUNTS_OF, scores), strict=True)
    return Score(utterances=len(scores), unit=unit_of(scores), **dict(zip(COUNTS, map(sum, columns), strict=True)))


def unit_of(scores: Sequence[UtteranceScore]) -> ErrorUnit:
    """What the errors of utterances are counted in."""
    return scores[0].unit if scores else ErrorUnit.word


def right_words(reference: str, hypothesis: Sequence[str]) -> list[bool]:
    """Which words of a hypothesis are correct, by the alignment that counts its errors."""
    right = {number for _, number in right_pairs(reference, hypothesis)}
    return [number in right for number in range(len(hypothesis))]


def right_pairs(reference: str, hypothesis: Sequence[str]) -> list[tuple[int, int]]:
    """The words that are correct, by the alignment that counts errors: their numbers in the reference and in the
    hypothesis."""
    if not reference.split() or not hypothesis:
        return []
    output = jiwer.process_words(reference, " ".join(hypothesis))
    return [
        (chunk.ref_start_idx + step, chunk.hyp_start_idx + step)
        for chunk in output.alignments[0]
        if chunk.type == "equal"
        for step in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]


def phone_error_rate(tokenizer: Tokenizer, scores: Iterable[UtteranceScore]) -> float | None:
    """Wrong, missing and inserted phones against those of the references, as a fraction; word boundaries do not count.

    A reference becomes phones by the lexicon's first pronunciation of each word. A hypothesis is the phones that were
    decoded, or those of the words that a beam search found. Utterances with a word without pronunciation are left out.

    Returns:
        None where tokens are not phones, or where no utterance is left.
    """
    if not isinstance(tokenizer, PhoneTokenizer):
        return None
    references, hypotheses = [], []
    for score in scores:
        try:
            pair = tokenizer.pronunciation(score.reference), tokenizer.pronunciation(score.hypothesis)
        except DataError:
            continue
        references.append(pair[0])
        hypotheses.append(pair[1])
    return float(jiwer.wer(references, hypotheses)) if references else None
