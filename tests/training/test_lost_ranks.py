"""A rank that is gone, or does not answer, ends the others with a sentence."""

import os
import sys
import time
from datetime import timedelta

import pytest
import torch

from asr.common.errors import RunError
from asr.training import distributed
from asr.training.distributed import Ranks, join_ranks, lost_ranks_named
from tests.helpers.programs import run_ranks


def _all_reduce_alone() -> None:
    distributed.PATIENCE = timedelta(seconds=2)
    ranks = join_ranks(torch.device("cpu"), 1)
    ranks.sum(torch.ones(1))
    if ranks.rank == 1:
        if sys.argv[1] == "silent":
            time.sleep(5)
        os._exit(0)
    try:
        with lost_ranks_named(ranks):
            ranks.sum(torch.ones(1))
    except RunError as error:
        print(error, flush=True)
    os._exit(0)


@pytest.mark.parametrize("how", ["gone", pytest.param("silent", marks=pytest.mark.slow)])
def test_a_lost_rank_is_named(how: str) -> None:
    said = run_ranks(_all_reduce_alone, [how], 2).stdout
    assert "Rank 0 of 2 has lost another (" in said
    assert "The same command goes on from the last checkpoint." in said


def test_other_errors_are_not_explained_away() -> None:
    with pytest.raises(RuntimeError, match="shape"), lost_ranks_named(Ranks(0, 2)):
        raise RuntimeError("The shape is wrong")
    with pytest.raises(RuntimeError, match="gloo"), lost_ranks_named(Ranks(0, 1)):
        raise RuntimeError("gloo is not there")
