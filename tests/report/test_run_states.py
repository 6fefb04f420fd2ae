"""How trainings stand, as `asr runs` tells it: from state.json, the lock on the folder and Slurm's queue."""

import json
import os
import platform
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from asr.commands import runs as runs_command
from asr.commands.cli import main
from asr.common.errors import Interrupted, RunError
from asr.report.run_states import judged
from asr.training.run_folder import RunFolder
from asr.training.run_state import STATE, KeptState, State, failure_kept, read_state, state_kept
from tests.helpers.compared_runs import write_run
from tests.helpers.refusals import Capture, refused
from tests.helpers.trainings import SHORT_BATCHES, prepare_yesno, run_folder, train

HERE = "n1"


def stands(state: State, *, host: str = HERE, held: bool = False, job: str | None = None, **facts: object) -> str:
    kept = KeptState(state, host, 7, 0.0, job, "no memory" if state is State.failed else None)
    queue, silent = facts.get("queue"), facts.get("silent", 0.0)
    return judged(kept, held=held, here=HERE, queue=queue, silent=silent, patience=1800)[0]  # type: ignore[arg-type]


def test_a_process_that_is_gone_does_not_train_for_ever() -> None:
    assert stands(State.training, held=True) == "training"
    assert stands(State.training) == "failed", "its own machine knows by the lock"
    assert stands(State.training, host="n2", silent=1700.0) == "training", "the locks of another may not be seen"
    assert stands(State.training, host="n2", silent=1900.0) == "failed"


def test_slurm_knows_whether_a_job_is_there() -> None:
    assert stands(State.training, host="n2", job="5", queue={"5": "RUNNING"}, silent=9e9) == "training"
    assert stands(State.training, host="n2", job="5", queue={}) == "failed"
    assert stands(State.training, job="5", queue={"5": "PENDING"}) == "queued", "requeued after a kill"
    assert stands(State.preempted, job="5", queue={"5": "PENDING"}) == "queued"
    assert stands(State.preempted, job="5", queue={"5": "COMPLETING"}) == "preempted"
    assert stands(State.preempted, job="5", queue=None) == "preempted"


@pytest.mark.parametrize("state", [State.finished, State.failed, State.interrupted])
def test_an_evaluation_that_holds_the_folder_is_no_training(state: State) -> None:
    assert stands(state, held=True) == state


def begun(path: Path) -> RunFolder:
    (path / ".lock").touch()
    return RunFolder(path, "")


def end(kept: AbstractContextManager[None], error: BaseException, action: Callable[[], object] = lambda: None) -> None:
    """Does something inside, and then fails."""
    with pytest.raises(type(error)), kept:  # noqa: PT012
        action()
        raise error


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Interrupted("Saved.", signal.SIGTERM), State.preempted, None),
        (Interrupted("Saved.", signal.SIGINT), State.interrupted, None),
        (KeyboardInterrupt(), State.interrupted, None),
        (RunError("The disk\nis full."), State.failed, "The disk is full."),
        (ZeroDivisionError("at https://me:secret@host"), State.failed, "ZeroDivisionError: at https://***@host"),
    ],
)
def test_how_a_training_ended_is_kept(error: BaseException, state: State, said: str | None, tmp_path: Path) -> None:
    folder = begun(tmp_path)
    inside = []
    end(state_kept(folder), error, lambda: inside.append(read_state(tmp_path)))
    assert inside[0] is not None and inside[0].state is State.training
    kept = read_state(tmp_path)
    assert kept is not None and (kept.state, kept.error) == (state, said)
    assert (kept.host, kept.pid) == (platform.node(), os.getpid())


def test_a_signal_after_the_last_step_leaves_a_finished_training(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    stop = Interrupted("The training is finished.", signal.SIGTERM)
    end(state_kept(folder), stop, (tmp_path / ".reported").touch)
    kept = read_state(tmp_path)
    assert kept is not None and kept.state is State.finished
    end(state_kept(folder), RunError("A file is gone."))
    assert read_state(tmp_path) == kept, "it stays finished"


def test_of_several_ranks_the_first_that_fails_says_why(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    other = lambda: end(failure_kept(folder), ValueError("why"))  # noqa: E731
    end(state_kept(folder), RunError("Rank 0 of 2 has lost another."), other)
    kept = read_state(tmp_path)
    assert kept is not None and kept.error == "ValueError: why"


def test_a_deleted_folder_does_not_come_back(tmp_path: Path) -> None:
    folder = begun(tmp_path)

    def delete() -> None:
        (tmp_path / ".lock").unlink()
        (tmp_path / STATE).unlink()

    end(state_kept(folder), RunError("It was deleted."), delete)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_another_process_gets_no_state(tmp_path: Path) -> None:
    folder = begun(tmp_path)

    def replace() -> None:
        (tmp_path / ".other").touch()
        (tmp_path / ".other").replace(tmp_path / ".lock")
        (tmp_path / STATE).unlink()

    end(state_kept(folder), RunError("It was deleted."), replace)
    assert read_state(tmp_path) is None


def keep(run: Path, **values: object) -> None:
    kept = {"state": "failed", "host": "gpu-3", "pid": 1, "time": 0.0, "error": "no memory"} | values
    (run / STATE).write_text(json.dumps(kept))


def test_the_table_tells_of_unfinished_trainings_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "runs/an4", seed=1)
    assert main(["runs", "an4"]) == 0
    assert "last sign" not in capsys.readouterr().out
    keep(run)
    long_ago = time.time() - 1000
    for path in (run / STATE, run / "metrics.jsonl"):
        os.utime(path, (long_ago, long_ago))
    assert main(["runs", "an4"]) == 0
    _, head, row, failure = capsys.readouterr().out.splitlines()
    assert all(heading in head for heading in ("node", "speed", "left", "last sign"))
    assert all(shown in row for shown in ("failed", "gpu-3", "51x", "0:16:10", "16 min ago"))
    assert failure == "lstm-10 failed: no memory"


@pytest.mark.parametrize("content", ["", "[]", '{"state": "asleep"}', '{"state": "failed", "host": 1}'])
def test_a_damaged_state_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / STATE).write_text(content)
    assert read_state(tmp_path) is None


def test_watch_shows_the_table_again_until_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    run, waits = write_run(tmp_path / "runs/an4"), []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt
        keep(run)

    monkeypatch.setattr(runs_command.time, "sleep", wait)
    assert main(["runs", "an4", "--watch"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("an4, test") == 2 and printed.count("no memory") == 1 and "\x1b" not in printed
    assert "--watch shows a table" in refused(capsys, "runs", "an4", "--watch", "--json")


@pytest.mark.slow
def test_trainings_that_are_killed_stopped_and_resumed_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    recipe = prepare_yesno(tmp_path / "data")
    settings = ["training.epochs=2", SHORT_BATCHES, "hardware.workers=0", "training.log_every_steps=1"]

    def told() -> tuple[str, str | None]:
        capsys.readouterr()
        assert main(["runs", str(run_folder(tmp_path, recipe)), "--json"]) == 0
        (line,) = json.loads(capsys.readouterr().out)
        assert line["node"] == platform.node()
        return line["state"], line["error"]

    monkeypatch.chdir(tmp_path)
    assert train(recipe, tmp_path, settings, DIE_AT="3") == -signal.SIGKILL
    state, error = told()
    assert state == "failed" and error is not None and "is gone" in error
    assert train(recipe, tmp_path, settings, TERMINATE_AT="3") == 128 + signal.SIGTERM
    assert told() == ("preempted", None)
    assert train(recipe, tmp_path, settings) == 0
    assert told() == ("finished", None)
