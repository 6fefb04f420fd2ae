"""Bootstrap intervals: what they enclose, what they are drawn from, and that drawing speakers covers better."""

import numpy as np
import pytest

from asr.scoring.bootstrap import bootstrap_interval, resampled_sums, resampling_units, sum_by_unit
from asr.scoring.error_rates import UtteranceScore, total


def score(errors: int, words: int, speaker: str = "", name: str = "one") -> UtteranceScore:
    """A score of which only the counts and the speaker matter."""
    return UtteranceScore(
        id=name,
        speaker=speaker,
        duration=1.0,
        reference="",
        hypothesis="",
        words=words,
        characters=words,
        substitutions=errors,
        deletions=0,
        insertions=0,
        word_errors=errors,
        character_errors=errors,
    )


def correlated_speakers(generator: np.random.Generator, mean: float, speakers: int = 10) -> list[UtteranceScore]:
    """A test set like AN4's: each speaker has a WER of their own, from a beta distribution with this mean."""
    rates = generator.beta(2.0, 2.0 / mean - 2.0, size=speakers)
    return [
        score(int(generator.binomial(6, rate)), 6, f"s{index}") for index, rate in enumerate(rates) for _ in range(13)
    ]


def test_utterances_of_one_speaker_or_of_unknown_ones_are_drawn_singly() -> None:
    assert resampling_units([score(0, 1, "anna"), score(0, 1, "anna")]).tolist() == [0, 1]
    assert resampling_units([score(0, 1), score(0, 1), score(0, 1)]).tolist() == [0, 1, 2]
    assert resampling_units([score(0, 1, "anna"), score(0, 1), score(0, 1, "anna")]).tolist() == [0, 1, 2]


def test_utterances_of_several_speakers_are_drawn_by_speaker() -> None:
    scores = [score(0, 1, speaker) for speaker in ("anna", "ben", "anna", "", "ben", "")]
    assert resampling_units(scores).tolist() == [0, 1, 0, 2, 1, 3]


def test_counts_are_summed_within_units() -> None:
    counts = np.array([[1, 10], [2, 20], [4, 40]])
    assert sum_by_unit(counts, np.array([0, 1, 0])).tolist() == [[5, 50], [2, 20]]


def test_columns_are_drawn_together_with_as_many_units_as_there_are() -> None:
    counts = np.array([[1, 1, 3], [10, 1, 30], [100, 1, 300]])
    sums = resampled_sums(counts, 500, seed=3)
    assert sums.shape == (500, 3)
    assert (sums[:, 1] == 3).all()
    assert (sums[:, 2] == 3 * sums[:, 0]).all()
    assert set(sums[:, 0]) == {3, 12, 21, 30, 102, 111, 120, 201, 210, 300}


def test_the_interval_encloses_the_rate_and_narrows_with_more_data() -> None:
    few = [score(errors, 5) for errors in (0, 0, 1, 2, 0, 1, 0, 3)]
    many = few * 25
    low, high = bootstrap_interval(few)
    narrow_low, narrow_high = bootstrap_interval(many)
    assert low < narrow_low < total(few).wer < narrow_high < high
    # Five times narrower, as the standard error falls with the root of the size.
    assert (high - low) / (narrow_high - narrow_low) == pytest.approx(5, rel=0.15)


def test_the_interval_agrees_with_the_normal_approximation() -> None:
    scores = [score(int(errors), 1) for errors in np.arange(2000) % 10 == 0]
    low, high = bootstrap_interval(scores)
    half = 1.96 * (0.1 * 0.9 / 2000) ** 0.5
    assert (low, high) == pytest.approx((0.1 - half, 0.1 + half), abs=6e-4)


def test_a_wider_level_gives_a_wider_interval() -> None:
    scores = [score(errors % 4, 5) for errors in range(40)]
    low, high = bootstrap_interval(scores, level=0.8)
    wide_low, wide_high = bootstrap_interval(scores, level=0.99)
    assert wide_low < low < high < wide_high


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = [score(errors % 7, 5 + errors % 4) for errors in range(40)]
    assert bootstrap_interval(scores, seed=4) == bootstrap_interval(scores, seed=4)
    assert bootstrap_interval(scores, seed=4) != bootstrap_interval(scores, seed=5)


def test_a_single_utterance_gives_its_own_rate_twice() -> None:
    assert bootstrap_interval([score(1, 4, "anna")]) == (0.25, 0.25)


def test_drawing_speakers_covers_the_true_rate_better_than_drawing_utterances() -> None:
    mean, sets = 0.09, 100
    generator = np.random.default_rng(0)
    covered = {"speakers": 0, "utterances": 0}
    for _ in range(sets):
        scores = correlated_speakers(generator, mean)
        anonymous = [score(one.errors, one.words) for one in scores]
        for units, drawn in (("speakers", scores), ("utterances", anonymous)):
            low, high = bootstrap_interval(drawn, samples=400)
            covered[units] += low <= mean <= high
    assert covered["speakers"] >= 0.82 * sets
    assert covered["utterances"] <= 0.78 * sets
