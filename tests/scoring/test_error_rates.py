"""Error rates: worked by hand, against jiwer on whole sets, over shards; the errors' alignment."""

from pathlib import Path

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.common.errors import DataError
from asr.data.utterance import Utterance
from asr.scoring.aligned_errors import aligned_errors, confusions, worst
from asr.scoring.error_rates import COUNTS, UtteranceScore, score_utterance, total

WORDS = st.lists(st.sampled_from(["A", "TWO", "THREE", "IT'S"]), max_size=6).map(" ".join)


def scored(reference: str, hypothesis: str, name: str = "one", speaker: str = "anna") -> UtteranceScore:
    """The score of an utterance that needs no audio."""
    return score_utterance(Utterance(name, Path("/none.wav"), 0.0, 1.5, reference, speaker, 16000), hypothesis)


def test_an_example_worked_by_hand() -> None:
    score = scored("THE CAT SAT ON", "A CAT SAT ON IT")
    assert (score.words, score.substitutions, score.deletions, score.insertions) == (4, 1, 0, 1)
    assert score.wer == 2 / 4
    # THE -> A costs three characters, " IT" three more, of 14 with the spaces.
    assert (score.characters, score.character_errors) == (14, 6)
    assert score.cer == 6 / 14


def test_a_missing_space_costs_one_character_and_two_words() -> None:
    score = scored("NO ONE", "NOONE")
    assert score.errors == 2
    assert (score.characters, score.character_errors) == (6, 1)


def test_an_empty_hypothesis_deletes_every_word() -> None:
    score = scored("GO NOW", "")
    assert (score.deletions, score.wer, score.cer) == (2, 1.0, 1.0)


@pytest.mark.parametrize("transcript", ["", "  "])
def test_an_empty_transcript_is_refused_with_its_id(transcript: str) -> None:
    with pytest.raises(DataError, match="'an4-7' is empty"):
        scored(transcript, "A", name="an4-7")


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=8))
def test_rates_are_those_of_jiwer_on_the_whole_set(pairs: list[tuple[str, str]]) -> None:
    score = total(scored(reference, hypothesis) for reference, hypothesis in pairs)
    references, hypotheses = [list(texts) for texts in zip(*pairs, strict=True)]
    words = jiwer.process_words(references, hypotheses)
    assert score.wer == pytest.approx(words.wer)
    assert (score.substitutions, score.deletions, score.insertions) == (
        words.substitutions,
        words.deletions,
        words.insertions,
    )
    assert score.cer == pytest.approx(jiwer.cer(references, hypotheses))
    assert score.words == sum(len(reference.split()) for reference in references)


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), max_size=8), st.integers(1, 4))
def test_shards_add_up_to_the_whole(pairs: list[tuple[str, str]], ranks: int) -> None:
    scores = [scored(reference, hypothesis) for reference, hypothesis in pairs]
    shards = [total(scores[rank::ranks]) for rank in range(ranks)]
    merged = sum(shards[1:], start=shards[0])
    assert merged == total(scores)
    assert merged.utterances == len(scores)
    assert all(isinstance(getattr(merged, name), int) for name in COUNTS)


def test_the_rate_is_micro_averaged() -> None:
    assert total([scored("A", "B"), scored("A B C D E F G H I", "A B C D E F G H I")]).wer == 1 / 10


def test_the_worst_come_first() -> None:
    scores = [
        scored("A B", "A B", "right"),
        scored("A", "B", "short"),
        scored("A B", "C D", "long"),
        scored("A B", "A", "half"),
    ]
    assert [score.id for score in worst(scores, 3)] == ["long", "short", "half"]
    assert len(worst(scores, 10)) == 4


def test_errors_are_aligned_in_columns_with_their_marks() -> None:
    text = aligned_errors([scored("A B", "A B", "right"), scored("THE CAT SAT", "A CAT SAT DOWN", "wrong")])
    assert text.startswith(
        "wrong  speaker anna  WER 66.67%\n"
        "REF: THE CAT SAT ****\n"
        "HYP:   A CAT SAT DOWN\n"
        "       S            I\n"
    )  # fmt: skip
    assert "right" not in text
    assert "2 utterances, 1 with errors; 5 words" in text
    assert "substitutions 1  deletions 0  insertions 1" in text


def test_long_utterances_are_broken_into_lines() -> None:
    reference = " ".join(["WORD"] * 60)
    text = aligned_errors([scored(reference, reference.replace("WORD", "WARD", 1))])
    assert max(len(line) for line in text.splitlines()) <= 121
    assert text.count("WORD") == 60 + 59 + 1


def test_a_set_without_errors_says_so() -> None:
    assert aligned_errors([scored("A B", "A B")]).startswith("1 utterances, 0 with errors; 2 words\nWER 0.00%")


def test_confusions_are_counted_by_pairs_of_words() -> None:
    counts = confusions([scored("A B C", "X Y C"), scored("A C", "X C D"), scored("B C", "C")])
    assert counts == {("A", "X"): 2, ("B", "Y"): 1, ("***", "D"): 1, ("B", "***"): 1}
    assert "    2  A   -> X\n" in aligned_errors([scored("A B C", "X Y C"), scored("A C", "X C D")])
