"""Batches that do not fit into memory are found before the first step, with the setting to lower."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from asr.batching.dataset import Dataset
from asr.batching.loader import Batch, MicroBatch
from asr.batching.steps import Steps
from asr.common.errors import RunError
from asr.settings.batching import BatchingConfig, BatchOrder
from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from asr.training.distributed import Ranks
from asr.training.memory import named_if_full, try_batches
from asr.training.task import AUDIO, Task
from tests.helpers.corpora import write_corpus

TEXTS = ["A", "AB", "ABC", "ABCD", "ABCDABCDABCDABCDABCDABCD"]
CONFIG = compose(Recipe(RECIPES / "an4"))


@pytest.fixture
def inputs(tmp_path: Path) -> Dataset:
    utterances = write_corpus(tmp_path, {"train": TEXTS, "dev": ["A"], "test": ["A"]})["train"]
    return Dataset(utterances, None, None, seed=1)


def task(inputs: Dataset) -> Task:
    """A task with a model of one weight."""
    parts: Any = SimpleNamespace(model=nn.Linear(1, 1), train=inputs, labels=[[1]] * len(TEXTS), unit=AUDIO)
    return cast(Task, parts)


def steps(inputs: Dataset, ranks: int = 1, limit: float = 600.0, rank: int = 0) -> Steps:
    batching = BatchingConfig(1.8, limit, 0.0, BatchOrder.random)
    return Steps(inputs, [[1]] * len(TEXTS), batching, seed=1, rank=rank, ranks=ranks)


def test_the_most_padded_batch_and_the_longest_utterance_are_tried(inputs: Dataset) -> None:
    own, tried = task(inputs), list[tuple[int, int]]()

    def loss(batch: Batch) -> Tensor:
        tried.append((len(batch.utterances), int(batch.lengths.max())))
        return cast(Tensor, own.model(torch.ones(1)).sum())

    try_batches(steps(inputs).largest(epoch=0), loss, own, CONFIG, Ranks(0, 1), 2)
    assert max(length for _, length in tried) == round(inputs.seconds(0).max() * 16000)
    padded = [count * length for count, length in tried]
    plan = [step.micro_batches[0].utterances for step in steps(inputs).start(0, 0, 1)]
    assert max(padded) == round(max(len(part) * inputs.seconds(0)[part].max() for part in plan) * 16000)
    assert all(weight.grad is None for weight in own.model.parameters()), "nothing is left of it"


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("limit", [600.0, 2.0])
def test_what_is_tried_is_a_micro_batch_of_the_plan(inputs: Dataset, ranks: int, limit: float) -> None:
    plans = [steps(inputs, ranks, limit, rank).start(0, 0, 1) for rank in range(ranks)]
    planned = {tuple(part.utterances) for plan in plans for step in plan for part in step.micro_batches}
    tried = {tuple(part.utterances) for part in steps(inputs, ranks, limit).largest(0).values()}
    assert tried and tried <= planned
    longest = int(inputs.seconds(0).argmax())
    assert any(longest in part for part in tried)


def test_a_step_that_runs_out_of_memory_says_what_to_do() -> None:
    words = r"give the same command again.*batching\.max_device_seconds=600"
    with pytest.raises(RunError, match=words), named_if_full(CONFIG, AUDIO):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(RuntimeError, match="shapes"), named_if_full(CONFIG, AUDIO):
        raise RuntimeError("shapes cannot be multiplied")


@pytest.mark.parametrize(
    ("numbers", "words"), [([0, 1], "lower batching.max_device_seconds"), ([4], "lower model.hidden")]
)
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_too_large_a_batch_names_the_setting_to_lower(
    error: Exception, numbers: list[int], words: str, inputs: Dataset
) -> None:
    def loss(batch: Batch) -> Tensor:
        raise error

    largest = {"The largest batch": MicroBatch(0, np.array(numbers))}
    with pytest.raises(RunError, match=words):
        try_batches(largest, loss, task(inputs), CONFIG, Ranks(0, 1), 2)


def test_other_faults_are_no_lack_of_memory(inputs: Dataset) -> None:
    def loss(batch: Batch) -> Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        try_batches(steps(inputs).largest(0), loss, task(inputs), CONFIG, Ranks(0, 1), 2)
