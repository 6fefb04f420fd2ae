"""Trains and evaluates the runs of a comparison, each in its own process."""

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import FrameType
from typing import Self

import torch

from asr.common.errors import Interrupted
from asr.common.progress import Progress
from asr.comparison.grid import PlannedRun
from asr.tracking.wandb_start import NOTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Launcher:
    """Runs trainings, several in parallel, and passes Ctrl-C and SIGTERM on to them while it is open.

    Args:
        recipe: The recipe as the user named it.
        jobs: How many run in parallel.
    """

    def __init__(self, recipe: str, jobs: int) -> None:
        self.recipe, self.jobs = recipe, jobs
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._signal = 0
        self._slots: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(jobs):
            self._slots.put(slot)

    def run_all(self, runs: Sequence[PlannedRun], group: str, logs: Path) -> dict[str, str]:
        """Trains and evaluates runs; one that fails does not stop the others.

        Args:
            group: Their group in Weights & Biases.
            logs: Folder for the output of each.

        Returns:
            By the name of each run that failed, the last line of its output, or which signal ended it.

        Raises:
            Interrupted: A signal arrived; the runs in progress have saved their state.
        """
        failures: dict[str, str] = {}
        with ThreadPoolExecutor(self.jobs) as pool, Progress("Comparing", len(runs), "runs") as progress:

            def work(run: PlannedRun) -> int:
                self._stop_if_interrupted()
                progress.say(f"{run.name} begins; its output goes to {_log_path(logs, run)}")
                return self._run([*run.overrides, f"tracker.group={group}"], _log_path(logs, run))

            begun = {pool.submit(work, run): run for run in runs}
            for finished in as_completed(begun):
                run, code = begun[finished], finished.result()
                if code == 0:
                    progress.say(f"{run.name} is trained and evaluated: {run.folder.path}")
                else:
                    failures[run.name] = _last_line(_log_path(logs, run)) if code > 0 else _ended_by(-code)
                    progress.say(f"{run.name} failed: {failures[run.name]}")
                progress.advance()
        return failures

    def __enter__(self) -> Self:
        def pass_on(number: int, frame: FrameType | None) -> None:
            self._signal = number
            for process in list(self._processes):
                process.send_signal(number)

        self._earlier = {number: signal.signal(number, pass_on) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def _run(self, overrides: Sequence[str], output: Path) -> int:
        """Runs `asr run` with its output in a file; gives its exit code."""
        slot = self._slots.get()
        try:
            self._stop_if_interrupted()
            output.parent.mkdir(parents=True, exist_ok=True)
            arguments = [sys.executable, "-m", "asr", "run", self.recipe, *overrides]
            with output.open("wb") as printed:
                # In its own session, so that Ctrl-C arrives once, from here.
                process = subprocess.Popen(
                    arguments, stdout=printed, stderr=subprocess.STDOUT, env=environment(slot), start_new_session=True
                )
                self._processes.add(process)
                if self._signal:
                    process.send_signal(self._signal)  # it arrived while the process was starting
                code = process.wait()
                self._processes.discard(process)
            self._stop_if_interrupted()
            return code
        finally:
            self._slots.put(slot)

    def _stop_if_interrupted(self) -> None:
        if self._signal:
            raise Interrupted("The runs in progress are saved; the same command continues them.", self._signal)


def _ended_by(number: int) -> str:
    """Why a process ended that could say nothing itself."""
    short = ", as where memory is short" if number == signal.SIGKILL else ""
    return f"{signal.strsignal(number) or number} (signal {number}) ended it{short}."


def _last_line(path: Path) -> str:
    """The last line of a file that is not empty, without the name of the command."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1].strip().removeprefix("asr: ") if lines else "it printed nothing."


def _log_path(logs: Path, run: PlannedRun) -> Path:
    return logs / f"{run.folder.path.name}-seed{run.seed}.log"


def environment(slot: int) -> dict[str, str]:
    """The environment of a training: its GPU is the next in turn of those that this process sees, and no name is that
    of all."""
    gpus, quiet = torch.cuda.device_count(), os.environ | {NOTED: "1"}  # what this process says is said once
    quiet.pop("WANDB_NAME", None)
    if gpus < 2:
        return quiet
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(gpu) for gpu in range(gpus)] if given is None else given.split(",")
    return quiet | {"CUDA_VISIBLE_DEVICES": names[slot % gpus].strip()}
