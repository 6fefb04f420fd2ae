"""Word and character error rates, counted by jiwer."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import zip_longest

import jiwer

from asr.common.errors import DataError
from asr.data.utterance import Utterance
from asr.text.phone import PhoneTokenizer
from asr.text.protocol import Tokenizer

LETTERS = {"equal": "=", "substitute": "S", "delete": "D", "insert": "I"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """The counts of an error rate."""

    words: int
    """Words of the reference."""
    characters: int
    """Characters of the reference, its spaces counted."""
    substitutions: int
    deletions: int
    insertions: int
    character_errors: int

    @property
    def errors(self) -> int:
        """Substituted, deleted and inserted words."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word error rate, a fraction; above 1 where many words are inserted."""
        return self.errors / self.words

    @property
    def cer(self) -> float:
        """Character error rate, a fraction; spaces count."""
        return self.character_errors / self.characters


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
    """A letter for each step over the words: = right, S substituted, D deleted, I inserted."""
    ctc_loss_per_token: float | None = None
    """-log p(reference) for each of its tokens, in nats; None where it is not known or infinite."""
    confidence: float | None = None
    """Mean probability of the tokens of the hypothesis; None without tokens or where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(ErrorCounts):
    """The counts of many utterances together, so that rates are micro-averaged. Those of several shards add up."""

    utterances: int

    def __add__(self, other: "Score") -> "Score":
        names = [field.name for field in fields(self)]
        sums = map(sum, zip(astuple(self), astuple(other), strict=True))
        return Score(**dict(zip(names, sums, strict=True)))


def score_utterance(utterance: Utterance, hypothesis: str) -> UtteranceScore:
    """Counts the errors of a hypothesis, which may be empty.

    Raises:
        DataError: The transcript has no word, so that there is no rate.
    """
    if not utterance.text.strip():
        raise DataError(f"The transcript of {utterance.id!r} is empty: transcribe the utterance or leave it out.")
    return score_texts(utterance.id, utterance.speaker, utterance.duration, utterance.text, hypothesis)


def score_texts(id: str, speaker: str, duration: float, reference: str, hypothesis: str) -> UtteranceScore:
    """Counts the errors of a hypothesis, which may be empty, against a reference, which may not.

    Args:
        id: Of the utterance.
        duration: Its length (s).
    """
    words = jiwer.process_words(reference, hypothesis)
    characters = jiwer.process_characters(reference, hypothesis)
    return UtteranceScore(
        id=id,
        speaker=speaker,
        duration=duration,
        reference=reference,
        hypothesis=hypothesis,
        alignment=alignment_letters(words, 0),
        words=len(words.references[0]),
        characters=len(characters.references[0]),
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        character_errors=characters.substitutions + characters.deletions + characters.insertions,
    )


def alignment_letters(output: jiwer.WordOutput | jiwer.CharacterOutput, number: int) -> str:
    """The steps from a reference to its hypothesis, a letter each: = right, S substituted, D deleted, I inserted.

    Args:
        output: Of jiwer.
        number: Of the utterance in it.
    """
    return "".join(
        LETTERS[chunk.type] * max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
        for chunk in output.alignments[number]
    )


def wrong_pairs(
    output: jiwer.WordOutput | jiwer.CharacterOutput, number: int, nothing: str
) -> Iterator[tuple[str, str]]:
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
    """Adds up the counts of utterances; all are zero without utterances."""
    scores = list(scores)
    counts = {field.name: sum(getattr(score, field.name) for score in scores) for field in fields(ErrorCounts)}
    return Score(utterances=len(scores), **counts)


def right_words(reference: str, hypothesis: Sequence[str]) -> list[bool]:
    """Which words of a hypothesis are correct, by the alignment that counts its errors."""
    if not reference.split() or not hypothesis:
        return [False] * len(hypothesis)
    output = jiwer.process_words(reference, " ".join(hypothesis))
    return [
        chunk.type == "equal" for chunk in output.alignments[0] for _ in range(chunk.hyp_start_idx, chunk.hyp_end_idx)
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
