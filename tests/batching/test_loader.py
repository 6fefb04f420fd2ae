"""Loading micro-batches in their order, and errors in the data as they are."""

import multiprocessing
import sys
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from asr.batching.loader import MicroBatch, evaluation_batches, load
from asr.common.errors import DataError
from tests.helpers import programs

LABELS = [[number, number] for number in range(6)]


def read(number: int, epoch: int) -> Tensor:
    if number == 5:
        raise DataError("Utterance 5 is rotten.")
    return torch.full((number + 1, 2), float(epoch))


def micro_batches(*batches: Sequence[int]) -> list[MicroBatch]:
    return [MicroBatch(epoch, np.array(batch, dtype=np.int64)) for epoch, batch in enumerate(batches)]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_padded_with_zeros(workers: int) -> None:
    batches = list(load(micro_batches([1, 3], [], [0], [4, 2]), read, LABELS, workers))
    assert [list(batch.utterances) for batch in batches] == [[1, 3], [], [0], [4, 2]]
    last = batches[3]
    assert last.inputs.shape == (2, 5, 2)
    assert last.lengths.tolist() == [5, 3]
    assert last.labels.tolist() == [4, 4, 2, 2]
    assert last.inputs[1, :, 0].tolist() == [3, 3, 3, 0, 0]


def load_with_another_start_method() -> None:
    multiprocessing.set_start_method(sys.argv[1], force=True)
    offset = 10.0  # what is only in the memory of this process
    planned = micro_batches([1, 3], [4, 2])
    here, there = (
        list(load(planned, lambda number, epoch: read(number, epoch) + offset, LABELS, workers)) for workers in (0, 2)
    )
    assert [batch.inputs.tolist() for batch in there] == [batch.inputs.tolist() for batch in here]


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_the_default_start_method_of_python_does_not_matter(method: str) -> None:
    done = programs.run(load_with_another_start_method, [method])
    assert done.returncode == 0, done.stderr


KEPT = []


def leave_a_loader_open() -> None:
    KEPT.append(load(micro_batches([1, 3], [4, 2], [0]), read, LABELS, 1))
    next(KEPT[0])


def test_a_process_ends_although_something_still_loads() -> None:
    assert programs.Program(leave_a_loader_open, [], {}).end(60).returncode == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_in_the_data_is_one_sentence(workers: int) -> None:
    loaded = load(micro_batches([1], [5], [2]), read, LABELS, workers)
    next(loaded)
    with pytest.raises(DataError) as caught:
        next(loaded)
    assert str(caught.value) == "Utterance 5 is rotten."


@pytest.mark.parametrize("ranks", [1, 2, 3, 9])
def test_evaluation_takes_each_utterance_once_over_all_ranks(ranks: int) -> None:
    seconds = np.array([3.0, 1.0, 2.0, 50.0, 4.0, 1.0, 2.5])
    batches = [batch for rank in range(ranks) for batch in evaluation_batches(seconds, rank, ranks, 10.0)]
    assert sorted(number for batch in batches for number in batch.utterances) == list(range(len(seconds)))
    for batch in batches:
        assert len(batch.utterances) == 1 or len(batch.utterances) * seconds[batch.utterances].max() <= 10.0
