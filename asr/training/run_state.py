"""state.json in a run folder: which process trains there, or how the last one ended.

How far it is, metrics.jsonl says. A process that was killed leaves the state in which it was: whoever reads it must
look at the lock of the folder too, as `asr.report.run_states` does.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from signal import SIGINT

from asr.common.documents import from_json, read_json
from asr.common.errors import Interrupted, UserError, masked, printable
from asr.common.files import atomic_write
from asr.training.run_folder import REPORTED, RunFolder

STATE = "state.json"
LONGEST = 500
"""Characters of an error that are kept."""
Lock = tuple[int, int] | None
"""The lock file of the folder in which a training began."""


class State(StrEnum):
    """How a training stands, as far as its own process knows."""

    training = "training"
    preempted = "preempted"
    """By SIGTERM or Slurm's warning, after it was saved."""
    interrupted = "interrupted"
    """By Ctrl-C."""
    failed = "failed"
    finished = "finished"


@dataclass(frozen=True)
class KeptState:
    """What state.json holds."""

    state: State
    host: str
    """The machine of the process that wrote it."""
    pid: int
    time: float
    """When it was written: seconds since 1970."""
    job: str | None = None
    """The Slurm job of the process."""
    error: str | None = None
    """Why it failed, in a line."""


def read_state(run: Path) -> KeptState | None:
    """What the state.json of a run folder says; None where there is none, as in a run of an earlier version, or where
    it is damaged."""
    try:
        return from_json(KeptState, read_json(run / STATE))
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def state_kept(folder: RunFolder) -> Iterator[None]:
    """Keeps in state.json that a training goes on inside, and then how it ended; for rank 0, which holds the folder.

    That of a finished run stays what it is.
    """
    if (folder.path / REPORTED).exists():
        yield
        return
    lock = folder.lock
    _keep(folder, lock, State.training)
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        preempted = isinstance(error, Interrupted) and error.signal != SIGINT
        # Where the signal came after the last step, nothing is left to resume.
        finished = (folder.path / REPORTED).exists()
        _keep(folder, lock, State.finished if finished else State.preempted if preempted else State.interrupted)
        raise
    except BaseException as error:
        _keep_failure(folder, lock, error)
        raise
    _keep(folder, lock, State.finished)


@contextmanager
def failure_kept(folder: RunFolder) -> Iterator[None]:
    """Keeps in state.json why a rank other than 0 failed: rank 0 only sees that it is gone."""
    lock = folder.lock
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        _keep_failure(folder, lock, error)
        raise


def _keep_failure(folder: RunFolder, lock: Lock, error: BaseException) -> None:
    kept = read_state(folder.path)
    if kept is None or kept.state is not State.failed:  # the first rank that fails knows why
        text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {masked(str(error))}"
        _keep(folder, lock, State.failed, printable(" ".join(text.split()))[:LONGEST])


def _keep(folder: RunFolder, lock: Lock, state: State, error: str | None = None) -> None:
    if lock is None or folder.lock != lock:
        return  # the folder was deleted, is another process's by now, or is not on this node
    kept = KeptState(state, platform.node(), os.getpid(), time.time(), os.environ.get("SLURM_JOB_ID"), error)
    with suppress(OSError), atomic_write(folder.path / STATE, durable=False) as file:  # no training ends for its sake
        file.write_text(json.dumps(asdict(kept), indent=1) + "\n", encoding="utf-8")
