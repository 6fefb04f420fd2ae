"""Kills trainings at random moments, starts them again until they end, and compares them with undisturbed ones.

    python -m tools.kills --trainings 20 --kills 10

Each training of yesno runs on two or on three ranks. It gets SIGKILL for one rank or for all, SIGTERM, or SIGKILL while
it writes a checkpoint; at its start, or after a random number of steps; with a process that loads and without. Its
weights must be those of an undisturbed training, bit by bit; metrics.jsonl and the parts of the W&B run must hold each
row once.
"""

import argparse
import atexit
import os
import random
import shutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Imported here once, all that a training needs: each rank is forked off, which spares its start the seconds.
import torch
import torch._inductor
import wandb.sdk.launch  # noqa: F401

import asr.commands.prepare
import asr.commands.train
import asr.training.cluster
import asr.training.trainer  # noqa: F401
from asr.commands import cli
from tests.helpers.offline_runs import history
from tests.helpers.trainings import SMALL, last_checkpoint, metrics, without_times

SETTINGS = [*SMALL, "training.checkpoint_minutes=0.002", "training.log_every_steps=3"]
KINDS = ("one", "all", "term", "writing")
START_SHARE = 0.15
"""Kills that strike before the training has begun."""
PATIENCE = 300.0


@dataclass
class Outcome:
    """What became of a training that was killed."""

    ranks: int
    kills: dict[str, int] = field(default_factory=dict)
    starts: int = 0
    faults: list[str] = field(default_factory=list)


class Processes:
    """The ranks of one start of a training, forked from this process."""

    def __init__(self, arguments: Sequence[str], ranks: int, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.codes: dict[int, int] = {}
        self.pids = [_fork(arguments, rank, ranks, port, log) for rank in range(ranks)]

    def running(self) -> list[int]:
        """The ranks that still run, by process id."""
        for pid in self.pids:
            if pid not in self.codes:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self.codes[pid] = os.waitstatus_to_exitcode(status)
        return [pid for pid in self.pids if pid not in self.codes]

    def send(self, number: int, pids: Sequence[int]) -> None:
        """Sends a signal to ranks."""
        for pid in pids:
            if pid in self.running():
                os.kill(pid, number)

    def end(self, seconds: float = 30.0) -> None:
        """Waits for all ranks, as a launcher does when one has died: SIGTERM first, then SIGKILL."""
        self.send(signal.SIGTERM, self.pids)
        deadline = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL, self.pids)
            time.sleep(0.01)


def _fork(arguments: Sequence[str], rank: int, ranks: int, port: int, log: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if ranks > 1:
            places = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
            os.environ |= {name: str(value) for name, value in places.items()}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        code = cli.main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        os._exit(code)


def train(folder: Path, data: Path, recipe: str, overrides: Sequence[str], ranks: int) -> Processes:
    """Starts a training."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [f"paths.data={data}", f"paths.runs={folder / 'runs'}"]
    return Processes(["train", recipe, *paths, *SETTINGS, *overrides], ranks, folder / "output.log")


def run_of(folder: Path, recipe: str) -> Path | None:
    """The only run in a folder, once there is one."""
    return next((path for path in (folder / "runs" / recipe).glob("lstm-*")), None)


def step_of(folder: Path, recipe: str) -> int:
    """The step of the newest checkpoint."""
    run = run_of(folder, recipe)
    names = sorted(path.name for path in (run / "checkpoints").glob("step-*.pt")) if run else []
    return int(names[-1].split("-")[1]) if names else 0


def kill(folder: Path, processes: Processes, recipe: str, kind: str, steps: int, draws: random.Random) -> str | None:
    """Waits for the moment and kills.

    Returns:
        How it was killed: `writing` becomes `all` if the checkpoint was whole. None if the training had ended before.
    """
    began, first = time.monotonic(), step_of(folder, recipe)
    wanted = time.monotonic() + draws.uniform(0, 1.5)
    at_start = draws.random() < START_SHARE
    after = draws.randint(1, max(1, steps))
    extra = draws.uniform(0, 0.05)
    while (time.monotonic() < wanted) if at_start else (step_of(folder, recipe) < first + after):
        if not processes.running() or time.monotonic() - began > PATIENCE:
            return None
        time.sleep(0.002)
    time.sleep(extra)
    run = run_of(folder, recipe)
    torn = run / "checkpoints" / ".writing" if run else None
    if kind == "writing":
        deadline = time.monotonic() + 5
        while torn and not torn.exists() and time.monotonic() < deadline:
            pass
    running = processes.running()
    if not running:
        return None
    match kind:
        case "one":
            processes.send(signal.SIGKILL, [draws.choice(running)])
        case "term":
            processes.send(signal.SIGTERM, running)
        case _:
            processes.send(signal.SIGKILL, running)
    processes.end()
    if not any(processes.codes.values()):
        return None
    return "all" if kind == "writing" and not (torn and torn.exists()) else kind


def disturbed(
    folder: Path, data: Path, recipe: str, overrides: Sequence[str], ranks: int, kills: int, steps: int, seed: int
) -> Outcome:
    """Kills one training this many times, then lets it end."""
    draws, outcome = random.Random(seed), Outcome(ranks)
    kinds = [KINDS[(seed + number) % len(KINDS)] for number in range(kills)]
    draws.shuffle(kinds)
    while True:
        processes = train(folder, data, recipe, overrides, ranks)
        outcome.starts += 1
        if kinds and (kind := kill(folder, processes, recipe, kinds[-1], int(1.6 * steps / (kills + 1)), draws)):
            kinds.pop()
            outcome.kills[kind] = outcome.kills.get(kind, 0) + 1
            continue
        while processes.running():
            time.sleep(0.02)
        if any(processes.codes.values()):
            outcome.faults.append(f"ended with {sorted(processes.codes.values())}")
        return outcome


def differences(run: Path, other: Path) -> list[str]:
    """In what a run differs from an undisturbed one."""
    found = []
    if metrics(run) != metrics(other):
        found.append("metrics.jsonl differs")
    if (run / "model/model.safetensors").read_bytes() != (other / "model/model.safetensors").read_bytes():
        found.append("the best model differs")
    here, there = last_checkpoint(run), last_checkpoint(other)
    for part in ("model", "averaged"):
        found += [
            f"{part} {name} differs" for name in there[part] if not torch.equal(here[part][name], there[part][name])
        ]
    if [without_times(row) for row in history(run)] != metrics(run):
        found.append("the parts of the W&B run hold other rows than metrics.jsonl")
    return found


def compare(
    folder: Path, data: Path, recipe: str, trainings: int, kills: int, epochs: int, ranks: Sequence[int]
) -> list[Outcome]:
    """Runs the undisturbed trainings and the killed ones, and says on the way what became of each."""
    overrides = [f"training.epochs={epochs}", "tracker=offline"]
    undisturbed: dict[int, Path] = {}
    outcomes = []
    for number in range(trainings):
        size = ranks[number % len(ranks)]
        if size not in undisturbed:
            processes = train(folder / f"undisturbed-{size}", data, recipe, [*overrides, "hardware.workers=0"], size)
            while processes.running():
                time.sleep(0.02)
            run = run_of(folder / f"undisturbed-{size}", recipe)
            assert run is not None and not any(processes.codes.values()), f"see {folder}/undisturbed-{size}/output.log"
            undisturbed[size] = run
        place = folder / f"killed-{number}"
        steps = int(last_checkpoint(undisturbed[size])["progression"]["step"])
        workers = f"hardware.workers={number // len(ranks) % 2}"
        outcome = disturbed(place, data, recipe, [*overrides, workers], size, kills, steps, seed=number)
        run = run_of(place, recipe)
        outcome.faults += differences(run, undisturbed[size]) if run else ["no run"]
        outcomes.append(outcome)
        verdict = "; ".join(outcome.faults) or "ended as if undisturbed"
        print(f"training {number}: {size} ranks, {outcome.kills}, {outcome.starts} starts: {verdict}", flush=True)
        if not outcome.faults:
            shutil.rmtree(place)
    return outcomes


def main() -> int:
    """Prints a line for each training and a summary; 1 where one ended otherwise than the undisturbed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainings", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10, help="of each training")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--data", type=Path, help="folder in which yesno is prepared; without it, it is prepared now")
    parser.add_argument("--folder", type=Path, default=Path("runs/.kills"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder: Path = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    data: Path = options.data or folder / "data"
    preparing = Processes(["prepare", "yesno", f"paths.data={data}"], 1, Path(os.devnull))
    while preparing.running():
        time.sleep(0.05)
    outcomes = compare(folder, data, "yesno", options.trainings, options.kills, options.epochs, options.ranks)
    kinds: dict[str, Any] = {kind: sum(outcome.kills.get(kind, 0) for outcome in outcomes) for kind in KINDS}
    good = sum(not outcome.faults for outcome in outcomes)
    print(f"{sum(kinds.values())} kills {kinds}: {good} of {len(outcomes)} trainings ended as if undisturbed")
    return int(good < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
