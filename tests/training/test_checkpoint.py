"""Checkpoints survive what disks and kills do to them."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr.common.errors import RunError
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


def damage(path: Path, kind: str, place: float) -> None:
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at] ^= 1 << int(8 * place)
    path.write_bytes(content[:at] if kind == "cut" else content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(kind=st.sampled_from(["cut", "flipped"]), place=st.floats(0, 1, exclude_max=True))
def test_one_that_is_cut_or_flipped_anywhere_is_passed_over(tmp_path: Path, kind: str, place: float) -> None:
    for step in (20, 30):
        save_checkpoint(tmp_path, step, state(step), keep=2)
    damage(max(tmp_path.glob("*.pt")), kind, place)
    loaded = newest_checkpoint(tmp_path)
    assert loaded is not None and loaded["step"] == 20


def test_damaged_ones_of_later_steps_do_not_push_out_the_good_ones(folder: Path) -> None:
    damage(max(folder.glob("*.pt")), "flipped", 0.5)
    for step in (22, 24):
        save_checkpoint(folder, step, state(step), keep=2)
        loaded = newest_checkpoint(folder)
        assert loaded is not None and loaded["step"] == step
    assert [path.name[:14] for path in sorted(folder.glob("*.pt"))] == ["step-000000022", "step-000000024"]


def test_where_none_is_whole_training_does_not_begin_anew_without_a_word(folder: Path) -> None:
    for path in folder.glob("*.pt"):
        damage(path, "cut", 0.5)
    with pytest.raises(RunError, match=r"No checkpoint in .* is whole: .*training\.restart=true"):
        newest_checkpoint(folder)


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
