"""Draws are pure functions of a seed and names, uniform, and independent of who else is drawn for."""

import numpy as np

from asr.common.seeds import Draws, derive_seed, key_of, keys_of, uniform

KEYS = keys_of([f"utterance {number}" for number in range(10_000)])


def test_draws_are_those_of_earlier_versions() -> None:
    """Trainings and corpora depend on them."""
    assert key_of("an251-fash-b") == 9732770801496038266
    assert derive_seed("weights", 1) == 13303896038106539079
    assert uniform(keys_of(["a"]), "speed", 1, 0)[0] == 0.9506373787448019


def test_draws_are_uniform_and_streams_independent() -> None:
    one, other = uniform(KEYS, "one", 1), uniform(KEYS, "other", 1)
    for drawn in (one, other):
        assert drawn.min() >= 0 and drawn.max() < 1
        assert abs(drawn.mean() - 0.5) < 0.02 and abs(drawn.var() - 1 / 12) < 0.005
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_a_draw_depends_on_its_own_key_alone() -> None:
    drawn = Draws(KEYS, seed=3, epoch=5)("gain")
    assert np.array_equal(Draws(KEYS[::-7], seed=3, epoch=5)("gain"), drawn[::-7])
    assert not np.array_equal(Draws(KEYS, seed=3, epoch=6)("gain"), drawn)
    assert np.array_equal(uniform(KEYS, "gain", 3, 5), drawn)


def test_seeds_depend_on_every_part_and_their_order() -> None:
    seeds = [derive_seed("a", 1), derive_seed("a", 2), derive_seed("b", 1), derive_seed(1, "a"), derive_seed("a")]
    assert len(set(seeds)) == len(seeds)
