"""The matched-pair bootstrap over speakers and seeds: how often it is right, and what its figures mean."""

from collections.abc import Sequence

import numpy as np
import pytest

from asr.common.errors import RunError
from asr.scoring.bootstrap import (
    bootstrap_interval,
    differences,
    estimate,
    holm,
    resampled_rates,
    training_rates,
    two_sided_p,
)
from asr.scoring.error_rates import UtteranceScore, score_texts
from asr.scoring.error_unit import ErrorUnit
from tests.scoring.test_intervals import score

SPEAKERS, UTTERANCES, WORDS = 20, 10, 8


def trainings(
    generator: np.random.Generator, ease: np.ndarray, mean: float, seeds: int, seed_deviation: float
) -> list[list[UtteranceScore]]:
    """Trainings of a model: speakers are easy or hard for all models, and each training has its own luck."""
    model = []
    for luck in generator.normal(0, seed_deviation, seeds):
        rates = np.clip(mean * ease * generator.gamma(8, 1 / 8, SPEAKERS) * np.exp(luck), 0, 1)
        model.append(
            [
                score(int(generator.binomial(WORDS, rate)), WORDS, f"s{speaker}", f"{speaker}-{number}")
                for speaker, rate in enumerate(rates)
                for number in range(UTTERANCES)
            ]
        )
    return model


def simulated(
    sets: int, means: Sequence[float], seeds: int, seed_deviation: float
) -> list[dict[str, list[list[UtteranceScore]]]]:
    """Drawn comparisons of two models with these true WERs."""
    generator = np.random.default_rng(5)
    drawn = []
    for _ in range(sets):
        ease = generator.gamma(4, 1 / 4, SPEAKERS)
        drawn.append(
            {
                name: trainings(generator, ease, mean, seeds, seed_deviation)
                for name, mean in zip("ab", means, strict=True)
            }
        )
    return drawn


def rejections(models: Sequence[dict[str, list[list[UtteranceScore]]]]) -> int:
    """How many comparisons claim a difference."""
    return sum(differences(one, resampled_rates(one, samples=400))[0].shown for one in models)


def test_two_equal_models_are_seldom_told_apart() -> None:
    assert rejections(simulated(100, (0.1, 0.1), seeds=3, seed_deviation=0.05)) <= 0.12 * 100


def test_a_real_difference_is_found_mostly() -> None:
    assert rejections(simulated(40, (0.1, 0.17), seeds=3, seed_deviation=0.05)) >= 0.8 * 40


def test_what_varies_with_the_seed_is_not_taken_for_a_difference() -> None:
    """Each training of its own is far off; a test of one training against another would claim most of them."""
    lucky = simulated(100, (0.1, 0.1), seeds=4, seed_deviation=0.3)
    alone = [{name: model[:1] for name, model in models.items()} for models in lucky]
    assert rejections(lucky) <= 0.2 * 100
    assert rejections(alone) >= 0.4 * 100


def test_the_interval_of_a_difference_covers_it() -> None:
    covered = 0
    for models in simulated(100, (0.12, 0.1), seeds=3, seed_deviation=0.05):
        (difference,) = differences(models, resampled_rates(models, samples=400))
        covered += difference.low <= 0.02 <= difference.high
    assert covered >= 0.88 * 100


def test_the_same_sets_are_drawn_for_both_models() -> None:
    """Two models of which one errs once more on each speaker differ by as much in every set."""
    worse = [[score(errors + 1, 10, f"s{errors}", str(errors)) for errors in range(8)]]
    better = [[score(errors, 10, f"s{errors}", str(errors)) for errors in range(8)]]
    models = {"worse": worse, "better": better}
    (difference,) = differences(models, resampled_rates(models))
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert difference.improvement == 0.0
    assert difference.p < 0.001
    assert difference.shown


def test_one_training_gives_the_interval_of_a_single_run() -> None:
    (scores,) = trainings(np.random.default_rng(2), np.ones(SPEAKERS), 0.1, seeds=1, seed_deviation=0.0)
    found = estimate([scores], resampled_rates({"a": [scores]})["a"])
    assert (found.low, found.high) == bootstrap_interval(scores)
    assert found.deviation is None


def test_no_interval_of_an_error_rate_goes_below_zero() -> None:
    seldom = [[score(errors, 10, f"s{speaker}", f"{speaker}") for speaker in range(20)] for errors in (0, 1)]
    drawn = resampled_rates({"a": seldom})["a"]
    assert drawn.min() < 0 == estimate(seldom, drawn).low


def test_the_drawn_trainings_vary_as_the_trainings_do() -> None:
    """With a test set on which nothing varies, the bootstrap's deviation is the standard error over the seeds."""
    model = [[score(errors, 10, f"s{speaker}", str(speaker)) for speaker in range(3)] for errors in (1, 2, 4)]
    drawn = resampled_rates({"a": model}, samples=20_000)["a"]
    assert np.std(drawn) == pytest.approx(np.std(training_rates(model), ddof=1) / 3**0.5, rel=0.02)


def test_a_model_against_itself_differs_in_nothing() -> None:
    model = [[score(speaker % 3, 10, f"s{speaker}", str(speaker)) for speaker in range(9)]]
    (difference,) = differences({"a": model, "b": model}, resampled_rates({"a": model, "b": model}))
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)
    assert (difference.improvement, difference.p, difference.shown) == (0.5, 1.0, False)


def test_p_is_never_zero_and_counts_both_sides() -> None:
    assert two_sided_p(np.full(999, -1.0)) == pytest.approx(2 / 1000)
    assert two_sided_p(np.array([-1.0] * 90 + [1.0] * 9)) == pytest.approx(2 * 10 / 100)


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_cer_is_drawn_from_characters() -> None:
    scores = [score_texts(f"{number}", f"s{number}", 1.0, "ABCD EFGH", "ABCD EFGX") for number in range(4)]
    found = estimate([scores], resampled_rates({"a": [scores]}, ErrorUnit.character)["a"], ErrorUnit.character)
    assert (found.mean, found.low, found.high) == pytest.approx((1 / 9, 1 / 9, 1 / 9))


def test_runs_of_other_utterances_are_refused() -> None:
    with pytest.raises(RunError, match="same utterances"):
        resampled_rates({"a": [[score(0, 1, name="x")]], "b": [[score(0, 1, name="y")]]})
