"""Work shared among processes."""

import os
from collections.abc import Sequence

import pytest
import torch

from asr.common.processes import map_blocks

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def threads(items: Sequence[int]) -> list[tuple[int, set[str | None]]]:
    return [(torch.get_num_threads(), {os.environ.get(name) for name in LIMITS}) for _ in items]


def test_a_worker_has_one_thread_and_the_main_process_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert map_blocks(threads, range(4), 1, "Counting", "threads") == [(1, {"1"})] * 4
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
