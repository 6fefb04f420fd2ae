"""The batch plan's invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.data.config import BatchingConfig, BatchOrder
from asr.data.draws import keys_of
from asr.data.plan import Seconds, padding_share, plan_epoch, split_batch

durations = st.lists(st.floats(0.1, 40.0), min_size=1, max_size=80).map(np.array)


def batching(
    global_seconds: float = 60.0, order: BatchOrder = BatchOrder.random, jitter: float = 0.05
) -> BatchingConfig:
    return BatchingConfig(global_seconds=global_seconds, max_device_seconds=30.0, length_jitter=jitter, order=order)


def plan(seconds: Seconds, config: BatchingConfig, seed: int = 1, epoch: int = 1) -> list[np.ndarray]:
    return plan_epoch(seconds, keys_of([f"utterance {number}" for number in range(len(seconds))]), config, seed, epoch)


@settings(deadline=None)
@given(durations, st.floats(1.0, 200.0), st.integers(0, 5))
def test_every_utterance_is_in_exactly_one_batch(seconds: Seconds, global_seconds: float, epoch: int) -> None:
    batches = plan(seconds, batching(global_seconds), epoch=epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(seconds)))


@settings(deadline=None)
@given(durations, st.floats(1.0, 200.0))
def test_a_batch_keeps_its_budget_or_is_a_single_utterance(seconds: Seconds, global_seconds: float) -> None:
    for batch in plan(seconds, batching(global_seconds)):
        assert len(batch) == 1 or seconds[batch].sum() <= global_seconds * (1 + 1e-9)


@settings(deadline=None)
@given(durations, st.integers(1, 9), st.floats(1.0, 100.0))
def test_shares_split_a_batch_exactly_within_the_budget_of_a_rank(seconds: Seconds, ranks: int, limit: float) -> None:
    seconds = np.sort(seconds)
    split = split_batch(seconds, ranks, limit)
    assert all(len(shares) == ranks for shares in split), "every rank takes the same number of micro-steps"
    parts = [np.arange(len(seconds))[share] for shares in split for share in shares]
    assert list(np.concatenate(parts)) == list(range(len(seconds)))
    for part in parts:
        assert len(part) <= 1 or len(part) * seconds[part].max() <= max(limit, seconds[-1]) * (1 + 1e-9)


def test_the_plan_is_a_function_of_seed_and_epoch() -> None:
    seconds = np.random.default_rng(0).uniform(0.5, 12.0, 300)

    def first(seed: int, epoch: int) -> list[int]:
        return list(plan(seconds, batching(), seed, epoch)[0])

    assert first(1, 1) == first(1, 1)
    assert first(1, 1) != first(1, 2)
    assert first(1, 1) != first(2, 1)


def test_the_first_epoch_can_go_from_short_to_long() -> None:
    seconds = np.random.default_rng(0).uniform(0.5, 12.0, 300)
    config = batching(order=BatchOrder.short_to_long_first, jitter=0.0)

    def rises(epoch: int) -> bool:
        means = [seconds[batch].mean() for batch in plan(seconds, config, epoch=epoch)]
        return means == sorted(means)

    assert rises(epoch=0)
    assert not rises(epoch=1)


def test_little_is_padded_on_durations_like_those_of_an4() -> None:
    seconds = np.random.default_rng(0).gamma(4.0, 0.7, 948) + 0.5
    shares = [seconds[batch] for epoch in range(1, 4) for batch in plan(seconds, batching(), epoch=epoch)]
    assert padding_share(shares) < 0.06


@pytest.mark.parametrize(("global_seconds", "utterances"), [(60.0, 948), (400.0, 5000)])
def test_ranks_get_shares_of_like_cost(global_seconds: float, utterances: int) -> None:
    seconds = np.random.default_rng(0).gamma(4.0, 0.55, utterances) + 0.5

    def difference(ranks: int) -> float:
        lengths = [
            np.sort(seconds[batch])
            for epoch in range(3)
            for batch in plan(seconds, batching(global_seconds), epoch=epoch)
        ]
        costs = [
            [len(batch[share]) * batch[share].max(initial=0) for share in shares]
            for batch in lengths
            for shares in split_batch(batch, ranks, 1000.0)
        ]
        return float(np.mean([1 - np.mean(step) / max(step) for step in costs]))

    assert difference(2) < 0.05
    assert difference(3) < 0.05
    assert difference(4) < 0.05


@settings(deadline=None)
@given(durations, st.integers(1, 5))
def test_fewer_utterances_than_ranks_give_every_rank_the_same_steps(seconds: Seconds, extra: int) -> None:
    for batch in plan(seconds, batching(60.0)):
        ranks = len(batch) + extra
        for shares in split_batch(seconds[batch], ranks, 30.0):
            assert len(shares) == ranks
