"""How trainings stand now, by their state.json, the locks on their folders and, where there is one, Slurm's queue."""

import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr.common.errors import printable
from asr.report.runs import Run
from asr.tracking.metrics import metrics_path
from asr.training.run_folder import REPORTED, RunFolder
from asr.training.run_state import STATE, KeptState, State, read_state

QUEUED = "queued"
"""The state of a training whose Slurm job waits, or is about to begin again."""
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SUSPENDED", "STOPPED")
"""States of a job in which its processes do not run."""
SQUEUE_SECONDS = 15
"""How long Slurm's controller may take to answer (s)."""
SIGNS = ("train.log", STATE)
"""Files that a training writes to, beside its metrics."""
SILENT_MINUTES = 30.0
"""After which a training on another machine counts as gone, where its settings do not say cluster.watchdog_minutes."""

Queue = Mapping[str, str]
"""The states of Slurm's jobs by their numbers."""


@dataclass(frozen=True)
class Standing:
    """How a training stands."""

    state: str
    """training, queued, preempted, interrupted, failed or finished."""
    node: str | None
    """The machine that it runs on, or ran on last; None where the run is older than state.json."""
    error: str | None
    """Why it failed."""
    silent_seconds: float
    """Since it last wrote something (s)."""


def standings(runs: Iterable[Run]) -> list[Standing]:
    """How each of some trainings stands now; Slurm is asked once for all."""
    kept = {run.folder: read_state(run.folder) for run in runs}
    unfinished = [one.job for one in kept.values() if one is not None and one.job and one.state is not State.finished]
    queue = _states_of_jobs(unfinished)
    return [_standing(run, kept[run.folder], queue) for run in runs]


def _standing(run: Run, kept: KeptState | None, queue: Queue | None) -> Standing:
    held = RunFolder(run.folder, "").is_held
    silent = max(0.0, time.time() - _last_sign(run.folder))
    if kept is None:
        ended = (run.folder / REPORTED).exists() or bool(run.evaluations)
        state = State.training if held else State.finished if ended else State.interrupted
        return Standing(state, None, None, silent)
    patience = run.settings.get("cluster.watchdog_minutes")
    minutes = patience if isinstance(patience, int | float) else SILENT_MINUTES
    stands, error = judged(kept, held=held, here=platform.node(), queue=queue, silent=silent, patience=60 * minutes)
    return Standing(stands, printable(kept.host), error and printable(error), silent)


def judged(
    kept: KeptState, *, held: bool, here: str, queue: Queue | None, silent: float, patience: float
) -> tuple[str, str | None]:
    """The state of a training, and why it failed if it did.

    On its own machine the lock on the folder says whether its process is there. The locks of other machines are seen on
    some file systems only: there Slurm knows the job, and without Slurm a training that has written nothing for too
    long is gone.

    Args:
        held: Whether a process holds the folder; an evaluation does so too.
        here: The name of this machine.
        queue: Of Slurm; None where it is not known.
        silent: Time since the training last wrote something (s).
        patience: The longest such time in which its process may be at work on another machine (s).
    """
    if kept.state is State.finished:
        return kept.state, None
    job = None if queue is None or kept.job is None else queue.get(kept.job)
    if kept.state is not State.training:
        return (QUEUED, None) if job in WAITING else (kept.state, kept.error)
    if held:
        return State.training, None
    if job in WAITING:
        return QUEUED, None
    asked = queue is not None and kept.job is not None
    if kept.host != here and (job is not None if asked else silent <= patience):
        return State.training, None
    return State.failed, f"process {kept.pid} on {kept.host} is gone, killed or with its machine"


def _last_sign(run: Path) -> float:
    """When a training last wrote something (seconds since 1970); 0 where it never did."""
    times = []
    for path in (metrics_path(run), *(run / name for name in SIGNS)):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def _states_of_jobs(jobs: Iterable[str]) -> Queue | None:
    """The states of jobs, without those that Slurm does not have any more; None where it cannot be asked."""
    numbers = sorted({job for job in jobs if job.isdecimal()})
    if not numbers:
        return None
    command = ["squeue", "--noheader", f"--jobs={','.join(numbers)}", "--format=%A %T"]
    try:
        answer = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SQUEUE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if answer.returncode != 0 and "Invalid job id" not in answer.stderr:  # said where the only one is gone
        return None
    return {fields[0]: fields[1] for line in answer.stdout.splitlines() if len(fields := line.split()) == 2}
