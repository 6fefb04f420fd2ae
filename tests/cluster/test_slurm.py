"""Trainings on a real Slurm of two nodes: submitted, requeued in the middle, swept, and by the plain script."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.programs import ROOT
from tests.helpers.slurm import Slurm, missing, running_slurm
from tests.helpers.trainings import SMALL, asr, metrics, prepare_yesno

pytestmark = pytest.mark.slow

PATIENCE = 400.0
TWO_NODES = ["cluster.nodes=2", "cluster.gpus_per_node=0", "cluster.ranks_per_node=1", "cluster.cpus_per_rank=1"]
SETTINGS = ["training.epochs=30", "hardware.workers=0", "tracker=offline", "training.log_every_steps=3"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with running_slurm(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert asr("train", prepare_yesno(folder / "data"), folder, SETTINGS, ranks=2).returncode == 0
    return only_run(folder)


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "yesno").glob("lstm-*")
    return run


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not _holds(condition):
        assert time.monotonic() < deadline, f"{what} did not come in {PATIENCE:.0f} s"
        time.sleep(0.3)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except subprocess.CalledProcessError:
        return False  # Slurm's controller may be too busy to answer


def steps_of(folder: Path) -> int:
    rows = [path.read_text().splitlines() for path in (folder / "runs" / "yesno").glob("lstm-*/metrics.jsonl")]
    return int(json.loads(rows[0][-1])["step"]) if rows and rows[0] else 0


@contextmanager
def submit(folder: Path, slurm: Slurm, *overrides: str) -> Iterator[subprocess.Popen[str]]:
    """`asr train ... cluster=slurm`, which waits for its jobs."""
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    command = [sys.executable, "-m", "asr", "train", "yesno", *paths, *SMALL, *overrides, "cluster=slurm"]
    environment = os.environ | slurm.environment | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as waiting:
        try:
            yield waiting
        finally:
            waiting.kill()  # otherwise a failing test would wait for the job without end


def hasten(slurm: Slurm, job: str) -> None:
    """Starts a job that was requeued now; Slurm would wait for two minutes."""
    until(lambda: state(slurm, job) == "PENDING", "its place in the queue")
    # Nodes refuse a job that starts within the second in which it ended.
    slurm("scontrol", "update", f"jobid={job}", "starttime=now+3")


def restarts(slurm: Slurm, job: str) -> int:
    shown = slurm("scontrol", "show", "job", job)
    return int(shown.split("Restarts=")[1].split()[0])


def state(slurm: Slurm, job: str) -> str:
    return slurm("scontrol", "show", "job", job).split("JobState=")[1].split()[0]


def assert_same(run: Path, other: Path) -> None:
    assert run.name == other.name
    assert metrics(run) == metrics(other), "every row once"
    assert (run / "model/model.safetensors").read_bytes() == (other / "model/model.safetensors").read_bytes()


@pytest.mark.parametrize("ending", ["requeue", "warning", "preemption"])
def test_a_job_that_was_requeued_in_the_middle_ends_as_if_undisturbed(
    ending: str, slurm: Slurm, undisturbed: Path, tmp_path: Path
) -> None:
    prepare_yesno(tmp_path / "data")
    with submit(tmp_path, slurm, *SETTINGS, *TWO_NODES) as waiting:
        until(lambda: steps_of(tmp_path) >= 20, "the first steps")
        (job,) = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%A").split()
        assert slurm("squeue", "--noheader", f"--jobs={job}", "--format=%D %N").split() == ["2", "n[1-2]"]
        before = steps_of(tmp_path)
        if ending == "requeue":
            slurm("scontrol", "requeue", job)
        elif ending == "warning":
            slurm("scancel", "--signal=USR2", job)  # as Slurm does when the time is nearly up
        else:
            urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true"]
            slurm("sbatch", *urgent)
        until(lambda: restarts(slurm, job) == 1, "the requeueing")
        wandb_id = (only_run(tmp_path) / "wandb_id").read_text()
        hasten(slurm, job)
        assert waiting.wait(PATIENCE) == 0, waiting.stderr and waiting.stderr.read()
    run = only_run(tmp_path)
    log = (run / "train.log").read_text()
    assert "2 ranks" in log and "Resuming from step" in log
    assert int(log.split("Resuming from step ")[1].split(",")[0]) >= before, "it saved the step that it was in"
    assert (run / "wandb_id").read_text() == wandb_id
    assert json.loads((run / "provenance.json").read_text())["command"].startswith("asr train yesno paths.data=")
    assert_same(run, undisturbed)


def test_a_sweep_of_four_models_is_one_array(slurm: Slurm, tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    one_rank = ["cluster.gpus_per_node=0", "cluster.ranks_per_node=1", "cluster.cpus_per_rank=1"]
    sweep = ["-m", "model=lstm,gru,rnn,hybrid", "model.layers=3", "training.epochs=1", "tracker=disabled"]
    with submit(tmp_path, slurm, *sweep, *one_rank) as waiting:
        array = set[str]()

        def seen() -> bool:
            array.update(slurm("squeue", "--noheader", "--array", "--states=all", "--format=%i").split())
            return waiting.poll() is not None

        until(seen, "the end of the sweep")
        assert waiting.returncode == 0, waiting.stderr and waiting.stderr.read()
    jobs = {name for name in array if "_" in name}
    assert len(jobs) == 4 and len({name.split("_")[0] for name in jobs}) == 1
    trained = {path.parent.parent.name.split("-")[0] for path in (tmp_path / "runs/yesno").glob("*/model/config.yaml")}
    assert trained == {"lstm", "gru", "rnn", "hybrid"}


def test_the_plain_script_requeues_itself_when_slurm_warns(slurm: Slurm, undisturbed: Path, tmp_path: Path) -> None:
    prepare_yesno(tmp_path / "data")
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    environment = os.environ | slurm.environment | {"PYTHONPATH": str(ROOT), "ASR": f"{sys.executable} -m asr"}
    sbatch = ["sbatch", "--parsable", "--nodes=2", f"--chdir={ROOT}", f"--output={tmp_path}/job.log"]
    command = [*sbatch, str(ROOT / "tools/slurm/train.sbatch"), "yesno", *paths, *SMALL, *SETTINGS]
    job = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=60
    ).stdout.strip()
    until(lambda: steps_of(tmp_path) >= 20, f"the first steps of {shlex.join(command)}")
    slurm("scancel", "--batch", "--signal=USR1", job)
    until(lambda: restarts(slurm, job) == 1, "the requeueing")
    hasten(slurm, job)
    until(lambda: state(slurm, job) in ("COMPLETED", "FAILED"), "the end")
    assert state(slurm, job) == "COMPLETED", (tmp_path / "job.log").read_text()[-3000:]
    assert_same(only_run(tmp_path), undisturbed)
