"""Trackers as a training uses them, in this process and in separate processes."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from asr.settings.tracker import Recorder, TrackerConfig, TrackerMode
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job
from tests.helpers import programs
from tests.helpers.offline_runs import records
from tests.helpers.wandb_server import Server


@pytest.fixture
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds a login, writes outside its folder or reaches another server than its own."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def open_tracker(
    folder: Path,
    step: int = 0,
    mode: str = "offline",
    upload_model: bool = True,
    also: Sequence[Recorder] = (),
    kind: str = "train",
) -> Tracker:
    config = TrackerConfig(
        mode=TrackerMode(mode),
        project="asr",
        entity=None,
        name=None,
        group=None,
        tags=["quick"],
        notes=None,
        job_type=None,
        panel_utterances=10,
        worst_utterances=30,
        upload_model=upload_model,
        also=[*also],
    )
    settings = {"seed": 1, "model": {"cells": ["lstm"]}}
    return Tracker(folder, config, Job("lstm", "yesno", settings, kind), step)


def train(tracker: Tracker, start: int, end: int) -> None:
    """Each step has a row, and every fifth a second one, as after an epoch."""
    for step in range(start + 1, end + 1):
        tracker.log(step, step / 5, 2.0 * step, {"train/loss": 1 / step})
        if step % 5 == 0:
            tracker.log(step, step / 5, 2.0 * step, {"dev/wer": 1 / step})


def train_apart(folder: Path, start: int, end: int, *, kill: bool = False, server: Server | None = None) -> str:
    """Trains in a separate process, which may end by SIGKILL, offline without a server; returns its output."""
    arguments = [str(folder), str(start), str(end), *(["kill"] if kill else [])]
    login = {} if server is None else {"WANDB_API_KEY": "k" * 40, "WANDB_BASE_URL": server.url}
    done = programs.run(_train_alone, arguments, **login)
    assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
    return done.stdout


def _train_alone() -> None:
    folder, start, end, kill = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), len(sys.argv) > 4
    with open_tracker(folder, start, mode="auto") as tracker:
        train(tracker, start, end)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
    print(tracker.where())


def summary(folder: Path) -> dict[str, Any]:
    return {key: value for record in records(folder, "summary") for key, value in record.get("update", {}).items()}


def lose_the_service() -> None:
    """Trains to step 40 offline, in the folder of the first argument; after step 10 the service of wandb is killed, and
    then another run is tracked, in the folder of the second."""
    first, second = map(Path, sys.argv[1:])
    with open_tracker(first) as tracker:
        train(tracker, 0, 10)
        while tracker.backlog:
            time.sleep(0.01)
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                if "wandb-core" in Path(f"/proc/{child}/cmdline").read_text():
                    os.kill(int(child), signal.SIGKILL)
        train(tracker, 10, 40)
    with open_tracker(second) as tracker:
        train(tracker, 0, 5)
