"""Checkpoints are written beside the training, exactly, and none is lost."""

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from asr.common.errors import RunError
from asr.training import checkpoint
from asr.training.checkpoint import CheckpointWriter, newest_checkpoint


def test_what_changes_after_saving_is_not_in_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, save = threading.Event(), checkpoint.save_checkpoint

    def late(*arguments: object) -> Path:
        assert go.wait(30)
        return save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint, "save_checkpoint", late)
    weights = torch.ones(10)
    with CheckpointWriter(tmp_path, keep=2) as writer:
        writer.save(1, {"model": {"weights": weights}, "groups": [{"params": [weights]}], "step": 1})
        weights.zero_()
        go.set()
    state = newest_checkpoint(tmp_path)
    assert state is not None and state["model"]["weights"].sum() == 10 and state["groups"][0]["params"][0].sum() == 10


def test_a_later_state_takes_the_place_of_the_earlier_one_in_memory_and_both_are_whole(tmp_path: Path) -> None:
    with CheckpointWriter(tmp_path, keep=2) as writer:
        for step in (1, 2):
            writer.save(step, {"weights": torch.full((5,), float(step)), "states": [torch.tensor(step)] * step})
    for path, step in zip(sorted(tmp_path.glob("*.pt")), (1, 2), strict=True):
        state = torch.load(path, weights_only=True)
        assert (state["weights"] == step).all() and state["states"] == [torch.tensor(step)] * step


def test_a_fault_in_the_training_waits_for_the_checkpoint_in_progress(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), CheckpointWriter(tmp_path, keep=1) as writer:  # noqa: PT012
        writer.save(1, {"step": 1, "weights": torch.zeros(2_000_000)})
        raise ZeroDivisionError
    state = newest_checkpoint(tmp_path)
    assert state is not None and state["step"] == 1


def test_a_process_that_ends_writes_first_what_it_saved(tmp_path: Path) -> None:
    program = f"""
import pathlib, sys, torch
from asr.training.checkpoint import CheckpointWriter
writer = CheckpointWriter(pathlib.Path({str(tmp_path)!r}), keep=1)
writer.save(1, {{"step": 1, "weights": torch.zeros(2_000_000)}})
sys.exit(3)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 3
    state = newest_checkpoint(tmp_path)
    assert state is not None and state["step"] == 1


def test_a_full_disk_is_known_without_waiting_and_named_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="No space left"), CheckpointWriter(tmp_path, keep=1) as writer:  # noqa: PT012
        writer.save(1, {"step": 1})
        deadline = time.monotonic() + 30
        while not writer.failed and time.monotonic() < deadline:
            pass
        assert writer.failed
