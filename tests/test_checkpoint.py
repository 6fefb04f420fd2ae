"""Checkpoints survive what disks and kills do to them."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.errors import RunError
from asr.training.checkpoint import newest_checkpoint, save_checkpoint


def state(step: int) -> dict[str, Any]:
    return {"weights": torch.full((1000,), float(step)), "step": step}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, step, state(step), keep=2)
    return tmp_path


def test_the_newest_are_kept_and_the_newest_is_loaded(folder: Path) -> None:
    assert [path.name[:14] for path in sorted(folder.glob("*.pt"))] == ["step-000000020", "step-000000030"]
    newest = newest_checkpoint(folder)
    assert newest is not None and newest["step"] == 30


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one_is_passed_over(folder: Path, damage: str) -> None:
    newest = max(folder.glob("*.pt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes({"cut": content[:-100], "flipped": content, "empty": b""}[damage])
    loaded = newest_checkpoint(folder)
    assert loaded is not None and loaded["step"] == 20


def test_where_there_is_none_nothing_is_loaded(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_a_full_disk_is_one_sentence_and_costs_no_good_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        save_checkpoint(folder, 40, state(40), keep=2)
    monkeypatch.undo()
    loaded = newest_checkpoint(folder)
    assert loaded is not None and loaded["step"] == 30
    assert {path.suffix for path in folder.iterdir()} == {".pt"}


def test_a_checkpoint_that_holds_code_is_never_run(tmp_path: Path) -> None:
    class Exploit:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("this must not run",))

    save_checkpoint(tmp_path, 1, {"exploit": Exploit()}, keep=1)
    with pytest.raises(Exception, match="Weights only load failed"):
        newest_checkpoint(tmp_path)
