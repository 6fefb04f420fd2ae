"""The batch plan's invariants."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.batching.batch_plan import Seconds, padding_share, plan_epoch, split_batch
from asr.batching.dataset import Dataset
from asr.batching.loader import load
from asr.batching.steps import Steps, micro_batches_of
from asr.common.seeds import keys_of
from asr.data.manifest import read_manifest
from asr.data.utterance import Utterance
from asr.settings.batching import BatchingConfig, BatchOrder
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from tests.helpers.corpora import load_prepare, mirrored

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
def test_micro_batches_split_a_batch_exactly_within_the_budget_of_a_rank(
    seconds: Seconds, ranks: int, limit: float
) -> None:
    seconds = np.sort(seconds)
    split = split_batch(seconds, ranks, limit)
    assert all(len(of_ranks) == ranks for of_ranks in split), "every rank takes the same number of micro-batches"
    parts = [np.arange(len(seconds))[part] for of_ranks in split for part in of_ranks]
    assert list(np.concatenate(parts)) == list(range(len(seconds)))
    for part in parts:
        assert len(part) <= 1 or len(part) * seconds[part].max() <= max(limit, seconds[-1]) * (1 + 1e-9)


def inputs_of(seconds: Seconds, weights: Seconds | None = None) -> Dataset:
    """Utterances of these lengths; their audio is never read."""
    utterances = [
        Utterance(f"utterance {number}", Path(), 0.0, float(length), "A", "", 16000)
        for number, length in enumerate(seconds)
    ]
    return Dataset(utterances, None, None, seed=1, shares=weights)


def steps_of(inputs: Dataset, rank: int = 0, ranks: int = 1) -> Steps:
    labels = [[1] * (1 + number % 5) for number in range(len(inputs.utterances))]
    return Steps(inputs, labels, batching(), seed=1, rank=rank, ranks=ranks)


@settings(deadline=None, max_examples=50)
@given(durations, st.integers(1, 6), st.integers(0, 3))
def test_any_number_of_ranks_takes_the_same_steps_and_splits_each_of_them(
    seconds: Seconds, ranks: int, epoch: int
) -> None:
    inputs = inputs_of(seconds)
    alone = list(steps_of(inputs).start(epoch, 0, epoch + 1))
    by_rank = [list(steps_of(inputs, rank, ranks).start(epoch, 0, epoch + 1)) for rank in range(ranks)]
    assert all(len(steps) == len(alone) for steps in by_rank)
    for step, *parts in zip(alone, *by_rank, strict=True):
        assert len({len(part.micro_batches) for part in parts}) == 1, "the same number of micro-batches on every rank"
        assert all(np.array_equal(part.utterances, step.utterances) for part in parts)
        assert all((part.labels, part.seconds) == (step.labels, step.seconds) for part in parts)
        taken = [number for part in parts for micro_batch in part.micro_batches for number in micro_batch.utterances]
        assert sorted(taken) == sorted(step.utterances), "each utterance on one rank, once"


@settings(deadline=None, max_examples=50)
@given(durations, st.integers(1, 4), st.data())
def test_from_any_step_on_the_plan_is_the_rest_of_the_whole_one(
    seconds: Seconds, ranks: int, data: st.DataObject
) -> None:
    inputs = inputs_of(seconds)
    whole = list(steps_of(inputs, 0, ranks).start(0, 0, 2))
    begun = data.draw(st.integers(0, len(whole) - 1))
    rest = list(steps_of(inputs, 0, ranks).start(whole[begun].epoch, whole[begun].position, 2))
    assert len(rest) == len(whole) - begun
    for one, other in zip(whole[begun:], rest, strict=True):
        assert (one.epoch, one.position) == (other.epoch, other.position)
        assert np.array_equal(one.utterances, other.utterances)


@settings(deadline=None, max_examples=50)
@given(durations, st.floats(0.1, 1.0), st.integers(0, 4))
def test_of_a_mixture_an_epoch_reads_each_utterance_at_most_once(seconds: Seconds, weight: float, epoch: int) -> None:
    weights = np.where(np.arange(len(seconds)) % 2 == 0, 1.0, weight)
    steps = steps_of(inputs_of(seconds, weights)).start(epoch, 0, epoch + 1)
    read = [int(number) for step in steps for number in step.utterances]
    assert len(read) == len(set(read)) and set(range(0, len(seconds), 2)) <= set(read)


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0.1, 40.0), min_size=1, max_size=12).map(np.array))
def test_the_plan_does_not_depend_on_the_number_of_workers(seconds: Seconds) -> None:
    inputs = inputs_of(seconds)

    def read(number: int, epoch: int) -> Tensor:
        return Tensor([[number]])

    def loaded(workers: int) -> list[list[int]]:
        micro_batches = micro_batches_of(steps_of(inputs).start(0, 0, 2))
        labels = [[1]] * len(seconds)
        return [batch.inputs.flatten().int().tolist() for batch in load(micro_batches, read, labels, workers)]

    one_process = loaded(0)
    assert all(loaded(workers) == one_process for workers in (1, 2))


@settings(deadline=None, max_examples=50)
@given(durations, st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_the_same_seed_and_epoch_give_the_same_plan_again(seconds: Seconds, seed: int, epoch: int) -> None:
    first, again = (plan(seconds.copy(), batching(), seed, epoch) for _ in range(2))
    assert len(first) == len(again) and all(np.array_equal(*pair) for pair in zip(first, again, strict=True))


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


@pytest.fixture(scope="module")
def an4(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """AN4 at the speeds of its recipe."""
    mirrored("an4_sphere.tar.gz")
    folder, config = tmp_path_factory.mktemp("an4"), compose(Recipe(RECIPES / "an4"))
    load_prepare("an4").prepare(config, folder / "archives", folder)
    return Dataset(read_manifest(folder / "train.jsonl"), None, config.augment, seed=1)


def costs(inputs: Dataset, ranks: int) -> list[list[float]]:
    """The padded audio of each rank's micro-batches in ten epochs, with the batches of the recipe (s)."""
    config = compose(Recipe(RECIPES / "an4")).batching
    found = []
    for epoch in range(10):
        seconds = inputs.seconds(epoch)
        for batch in plan_epoch(seconds, inputs.keys, config, 1, epoch):
            lengths = seconds[batch]
            for of_ranks in split_batch(lengths, ranks, config.max_device_seconds):
                found.append([len(lengths[part]) * lengths[part].max(initial=0) for part in of_ranks])
    return found


def test_less_than_6_percent_of_an4_is_padding(an4: Dataset) -> None:
    padded = sum(cost for (cost,) in costs(an4, ranks=1))
    assert 1 - sum(an4.seconds(epoch).sum() for epoch in range(10)) / padded < 0.06


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ranks_lose_less_than_5_percent_of_a_step_of_an4_to_the_slowest(ranks: int, an4: Dataset) -> None:
    assert np.mean([1 - np.mean(step) / max(step) for step in costs(an4, ranks)]) < 0.05


def test_little_is_padded_on_durations_like_those_of_an4() -> None:
    seconds = np.random.default_rng(0).gamma(4.0, 0.7, 948) + 0.5
    batches = [seconds[batch] for epoch in range(1, 4) for batch in plan(seconds, batching(), epoch=epoch)]
    assert padding_share(batches) < 0.06


@pytest.mark.parametrize(("global_seconds", "utterances"), [(60.0, 948), (400.0, 5000)])
def test_ranks_get_micro_batches_of_similar_cost(global_seconds: float, utterances: int) -> None:
    seconds = np.random.default_rng(0).gamma(4.0, 0.55, utterances) + 0.5

    def difference(ranks: int) -> float:
        lengths = [
            np.sort(seconds[batch])
            for epoch in range(3)
            for batch in plan(seconds, batching(global_seconds), epoch=epoch)
        ]
        costs = [
            [len(batch[part]) * batch[part].max(initial=0) for part in of_ranks]
            for batch in lengths
            for of_ranks in split_batch(batch, ranks, 1000.0)
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
        for of_ranks in split_batch(seconds[batch], ranks, 30.0):
            assert len(of_ranks) == ranks
