"""Which settings matter in a sweep: found where they do, not claimed where they do not."""

import numpy as np
import pytest

from asr.report.importance import FEWEST_RUNS, importance


def test_the_setting_that_decides_comes_first_and_the_seed_last() -> None:
    generator = np.random.default_rng(1)
    sizes, rates, seeds = [64, 128, 256, 512] * 6, [3e-4, 1e-3] * 12, [1, 2, 3] * 8
    wer = [0.5 - 0.1 * np.log2(size) / 9 + 0.002 * generator.standard_normal() for size in sizes]
    found = importance({"model.hidden": sizes, "optimizer.learning_rate": rates, "seed": seeds}, wer)
    assert found[0].settings == ["model.hidden"] and found[0].share > 0.8 and found[0].p < 0.01
    assert found[0].low <= found[0].share <= found[0].high <= 1
    assert all(one.p > 0.05 for one in found[1:])


def test_a_setting_without_effect_is_seldom_claimed_to_have_one() -> None:
    claimed, shares = 0, []
    for trial in range(60):
        generator = np.random.default_rng(trial)
        (found,) = importance({"dropout": [0.1, 0.2, 0.3] * 4}, generator.random(12).tolist())
        claimed += found.p < 0.05
        shares.append(found.share)
    assert claimed <= 7 and abs(np.mean(shares)) < 0.08


def test_a_diverged_run_does_not_decide() -> None:
    rates = [0.30, 0.20] * 12
    (found,) = importance({"model.hidden": [64, 128] * 12}, [*rates[:-1], 10.0])
    assert found.share > 0.5


def test_settings_that_always_vary_together_are_one() -> None:
    found = importance({"model.hidden": [1, 2] * 5, "model.layers": [3, 4] * 5, "seed": [1, 1, 2, 2, 3] * 2}, range(10))
    assert sorted(map(len, (one.settings for one in found))) == [1, 2]


def test_a_range_of_many_numbers_is_cut_into_parts() -> None:
    rates = np.geomspace(1e-4, 1e-2, 24).tolist()
    (found,) = importance({"optimizer.learning_rate": rates}, [abs(np.log10(rate) + 3) for rate in rates])
    assert found.values == 4 and found.share > 0.3 and found.p < 0.05


@pytest.mark.parametrize("count", [0, 1, FEWEST_RUNS - 1])
def test_of_few_runs_nothing_is_told(count: int) -> None:
    assert importance({"seed": list(range(count))}, [0.1] * count) == []


def test_a_setting_that_differs_in_every_run_or_in_none_is_left_out() -> None:
    names = [f"run {number}" for number in range(10)]
    assert importance({"name": names, "layers": [3] * 10}, [0.1 * number for number in range(10)]) == []
