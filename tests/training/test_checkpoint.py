"""Checkpoints survive what disks and kills do to them."""

import errno
import hashlib
import io
import math
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from asr.common.errors import RunError
from asr.training.checkpoint import apply_checkpoint, foreign_checkpoints, newest_checkpoint, save_checkpoint
from asr.training.train_state import TrainState


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


def write_with_right_checksum(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"step-000000099-{hashlib.sha256(content).hexdigest()[:16]}.pt").write_bytes(content)


def archive(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\3\4" + bytes(100), pickle.dumps(Path("/tmp")), archive(Path("/tmp")), archive(print)],
)
def test_foreign_content_with_a_right_checksum_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    write_with_right_checksum(tmp_path, content)
    with pytest.raises(RunError, match="is not one of this training") as error:
        newest_checkpoint(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ranks", [float("inf"), float("-inf"), float("nan"), "two", None, [], {}, -(2**70)])
def test_a_number_of_ranks_that_is_none_is_one_sentence(ranks: Any) -> None:
    with pytest.raises(RunError, match="is not one of this training"), foreign_checkpoints(Path("checkpoints")):
        math.sqrt(int(ranks))


def test_a_checkpoint_of_any_size_takes_no_memory_where_it_is_damaged(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 1, {"step": 1}, keep=1)
    os.truncate(path, 1 << 28)
    tracemalloc.start()
    with pytest.raises(RunError, match="is whole"):
        newest_checkpoint(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"step-000000099-{'0' * 16}.pt")
    with pytest.raises(RunError, match="is whole"):
        newest_checkpoint(tmp_path)


def trained() -> tuple[nn.Module, torch.optim.Optimizer, dict[str, Any]]:
    """A model and its optimizer after a step, and their checkpoint."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    progression = vars(TrainState(step=1, best_score=0.5, lost=["a"]))
    return (
        model,
        optimizer,
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "progression": progression},
    )


def restored(saved: Any) -> TrainState:
    model, optimizer, _ = trained()
    with foreign_checkpoints(Path("checkpoints")):
        apply_checkpoint(saved, {"model": model}, optimizer)
        return TrainState.of(saved["progression"])


def with_moment(saved: dict[str, Any], value: torch.Tensor) -> dict[str, Any]:
    saved["optimizer"]["state"][0]["exp_avg"] = value
    return saved


FOREIGN: list[Callable[[dict[str, Any]], Any]] = [
    lambda saved: [],
    lambda saved: None,
    lambda saved: {},
    lambda saved: saved | {"model": None},
    lambda saved: saved | {"model": {}},
    lambda saved: saved | {"model": dict.fromkeys(saved["model"], 1)},
    lambda saved: saved | {"model": nn.Linear(4, 2).state_dict()},
    lambda saved: saved | {"model": {name: value * torch.nan for name, value in saved["model"].items()}},
    lambda saved: saved | {"optimizer": {}},
    lambda saved: saved | {"optimizer": {"state": {}, "param_groups": []}},
    lambda saved: saved | {"optimizer": {"state": 5, "param_groups": [5]}},
    lambda saved: with_moment(saved, torch.zeros(7)),
    lambda saved: saved | {"progression": None},
    lambda saved: saved | {"progression": {"step": "x"}},
    lambda saved: saved | {"progression": {"step": -1}},
    lambda saved: saved | {"progression": {"lost": 5}},
    lambda saved: saved | {"progression": {"lost": [5]}},
    lambda saved: saved | {"progression": {"best_score": "good"}},
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_state_of_another_training_is_one_sentence(foreign: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(RunError, match="is not one of this training") as error:
        restored(foreign(trained()[2]))
    assert "\n" not in str(error.value)


def test_a_state_of_this_training_is_restored() -> None:
    saved = trained()[2]
    assert vars(restored(saved)) == saved["progression"]
    earlier = {name: value for name, value in saved["progression"].items() if name != "best_score"}
    assert restored(saved | {"progression": earlier | {"best_wer": 0.25}}).best_score == 0.25
