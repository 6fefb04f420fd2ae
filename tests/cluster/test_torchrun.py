"""torchrun's restarts: a rank that dies, and an agent that dies as the node of another would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.programs import ROOT
from tests.helpers.trainings import SMALL, asr, metrics, prepare_yesno, run_folder

pytestmark = pytest.mark.slow

PATIENCE = 400.0
SETTINGS = ["training.epochs=12", "hardware.workers=0", "training.checkpoint_minutes=0"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert asr("train", prepare_yesno(folder / "data"), folder, SETTINGS, ranks=2).returncode == 0
    return run_folder(folder, "yesno")


def agent(folder: Path, port: int, node: int, *options: str) -> subprocess.Popen[bytes]:
    """torchrun as on one of two nodes, in a process group of its own."""
    rendezvous = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=test", "--max-restarts=5"]
    launcher = [sys.executable, "-m", "torch.distributed.run", *rendezvous, *options]
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    command = [*launcher, "-m", "asr", "train", "yesno", *paths, *SMALL, *SETTINGS]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Without it an agent that comes back never gets the address of rank 0: torch 2.14 sends it only in the first round.
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    with (folder / f"agent-{node}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come in {PATIENCE:.0f} s"
        time.sleep(0.2)


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "runs/yesno").glob("lstm-*/checkpoints/step-*.pt"))


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_same(run: Path, other: Path) -> None:
    assert metrics(run) == metrics(other)
    assert (run / "model/model.safetensors").read_bytes() == (other / "model/model.safetensors").read_bytes()


def test_a_rank_that_dies_is_started_again_with_the_others(undisturbed: Path, tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    with agent(tmp_path, free_port(), 1, "--nnodes=1", "--nproc-per-node=2") as torchrun:
        until(lambda: len(checkpoints(tmp_path)) >= 2, "checkpoints")
        ranks = [pid for pid in children(torchrun.pid) if b"train" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(ranks[-1], signal.SIGKILL)
        assert torchrun.wait(PATIENCE) == 0, (tmp_path / "agent-1.log").read_text()[-3000:]
    run = run_folder(tmp_path, "yesno")
    assert "Resuming from step" in (run / "train.log").read_text()
    assert_same(run, undisturbed)


def test_an_agent_that_is_killed_comes_back(undisturbed: Path, tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    port, node = free_port(), ("--nnodes=2", "--nproc-per-node=1")
    with agent(tmp_path, port, 1, *node) as first:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the first agent")
        with agent(tmp_path, port, 2, *node) as second:
            until(lambda: len(checkpoints(tmp_path)) >= 2, "checkpoints")
            for pid in [*children(second.pid), second.pid]:
                os.kill(pid, signal.SIGKILL)
        with agent(tmp_path, port, 2, *node) as again:
            assert first.wait(PATIENCE) == 0, (tmp_path / "agent-1.log").read_text()[-3000:]
            assert again.wait(PATIENCE) == 0, (tmp_path / "agent-2.log").read_text()[-3000:]
    run = run_folder(tmp_path, "yesno")
    assert "Resuming from step" in (run / "train.log").read_text()
    assert_same(run, undisturbed)
