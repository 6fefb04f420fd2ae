"""Small trainings in processes of their own, some of which are disturbed on purpose."""

import errno
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.settings.compose import compose
from asr.settings.recipe import RECIPES, Recipe
from tests.helpers.corpora import load_prepare, mirrored, write_corpus
from tests.helpers.programs import run_ranks

SMALL = [
    "model.hidden=24",
    "model.channels=4",
    "tokenizer=char",
    "hardware.threads=1",
    "tracker=disabled",
    "batching.global_seconds=20",
]
SHORT_BATCHES = "batching.global_seconds=4"
"""With which an epoch of the tones has as many steps as one of yesno, seven."""


def prepare_yesno(data: Path) -> str:
    """Prepares yesno, or tones in its place where no mirror has it; gives the recipe's name."""
    try:
        mirrored("waves_yesno.tar.gz")
    except pytest.skip.Exception:
        prepare_tones(data)
    else:
        recipe = Recipe(RECIPES / "yesno")
        load_prepare("yesno").prepare(compose(recipe), data / "archives", data / "yesno")
    return "yesno"


def prepare_tones(data: Path) -> str:
    """Writes tones in the place of yesno, which are trained on in a fifth of its time; gives the recipe's name."""
    lines = [("YES " if number & bit else "NO ") * 3 for number in range(10) for bit in (1, 2, 4)]
    texts = {"train": [line.strip() for line in lines[:25]], "dev": ["YES NO", "NO YES"], "test": ["NO", "YES"]}
    write_corpus(data / "yesno", texts, sampling_rate=8000)
    return "yesno"


def train(recipe: str, folder: Path, overrides: Sequence[str], ranks: int = 1, **environment: str) -> int:
    """Runs `asr train`; data and runs are in the folder. Gives the exit code."""
    return asr("train", recipe, folder, overrides, ranks, **environment).returncode


def asr(
    command: str, recipe: str, folder: Path, overrides: Sequence[str], ranks: int = 1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command on a small model; data and runs are in the folder."""
    if 1 < ranks > torch.cuda.device_count():
        overrides = ["hardware.device=cpu", *overrides]
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    arguments = [*command.split(), recipe, *paths, *SMALL, *overrides]
    ended = run_ranks(main, arguments, ranks, **environment)
    os.write(2, ended.stderr.encode())
    return ended


def run_folder(folder: Path, recipe: str) -> Path:
    """The only run of a recipe."""
    (run,) = (path for path in (folder / "runs" / recipe).iterdir() if not path.name.startswith("."))
    return run


def last_checkpoint(run: Path) -> dict[str, Any]:
    """The state that a run ended with."""
    state: dict[str, Any] = torch.load(max((run / "checkpoints").glob("*.pt")), weights_only=True)
    return state


def metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of a run without what the clock says."""
    return [without_times(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()]


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what the clock says."""
    return {key: value for key, value in row.items() if key != "seconds" and not key.startswith(("time/", "system/"))}


def main() -> None:
    """`asr`, but it kills itself in the step DIE_AT, and writes the gradients of the first step to GRADIENTS.

    It gets SIGTERM in the step TERMINATE_AT. The files VANISH (a search path) are deleted, and those of ROT
    overwritten, before the first step, or before the step VANISH_AT. On the last rank the loss of the steps POISON_AT
    (as in 3,4) is not a number. The disk is full after DISK_FULL_AT files were synchronized. To read an utterance takes
    SLOW_READS seconds more. With LOSS_SCALE, the first one, float16 runs on a CPU too, and the scale rises after three
    good steps. The run folder is deleted in the step DELETE_AT, and is another one in the step REPLACE_AT.
    """
    from asr.batching import loader
    from asr.batching.dataset import Dataset
    from asr.commands import cli
    from asr.training import hardware, optimization
    from asr.training.optimization import OptimizerStep
    from asr.training.trainer import Trainer

    settings = os.environ
    last_rank = settings.get("RANK", "0") == str(int(settings.get("WORLD_SIZE", "1")) - 1)
    fit, accumulate, step, read, sync = Trainer.fit, Trainer.accumulate, OptimizerStep.step, Dataset.__call__, os.fsync
    steps, writes = 0, 0

    def vanish() -> None:
        for path in filter(None, settings.get("VANISH", "").split(os.pathsep)):
            Path(path).unlink(missing_ok=True)
        for path in filter(None, settings.get("ROT", "").split(os.pathsep)):
            Path(path).write_bytes(b"RIFF")

    def fit_without(self: Trainer[Any], *arguments: Any) -> float:
        if "VANISH_AT" not in settings:
            vanish()
        return fit(self, *arguments)

    def disturbed(self: Trainer[Any], *arguments: Any) -> torch.Tensor:
        nonlocal steps
        number = str(self.state.step)
        if number == settings.get("VANISH_AT"):
            vanish()
        if number in (settings.get("DELETE_AT"), settings.get("REPLACE_AT")) and self.ranks.first:
            self.folder.path.rename(self.folder.path.with_name(".deleted"))  # a checkpoint may be written meanwhile
            shutil.rmtree(self.folder.path.with_name(".deleted"), ignore_errors=True)
        if number == settings.get("REPLACE_AT") and self.ranks.first:
            self.folder.path.mkdir(exist_ok=True)
            (self.folder.path / ".lock").touch()
        loss = accumulate(self, *arguments)
        for key, signal_number in (("DIE_AT", signal.SIGKILL), ("TERMINATE_AT", signal.SIGTERM)):
            if str(steps) == settings.get(key):
                os.kill(os.getpid(), signal_number)
        steps += 1
        poisoned = last_rank and number in settings.get("POISON_AT", "").split(",")
        return loss * float("nan") if poisoned else loss

    def saving_gradients(self: OptimizerStep, gradient_norm: torch.Tensor, number: int) -> None:
        if number == 1 and "GRADIENTS" in settings and settings.get("RANK", "0") == "0":
            torch.save([parameter.grad for parameter in self.model.parameters()], settings["GRADIENTS"])
        step(self, gradient_norm, number)

    def full(descriptor: int) -> None:
        nonlocal writes
        writes += 1
        if writes > int(settings.get("DISK_FULL_AT", "1000000")):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    def slow(self: Dataset, number: int, epoch: int) -> torch.Tensor:
        time.sleep(float(settings["SLOW_READS"]))
        return read(self, number, epoch)

    if "LOSS_SCALE" in settings:
        hardware.refuse_on_cpu = lambda config: None
        begin = {"init_scale": float(settings["LOSS_SCALE"]), "growth_interval": 3}
        optimization.GradScaler = functools.partial(optimization.GradScaler, **begin)  # type: ignore[misc, assignment]
    if "SLOW_READS" in settings:
        Dataset.__call__ = slow  # type: ignore[method-assign]
    loader.RETRY_SECONDS = (0.0,)
    os.fsync = full
    Trainer.fit = fit_without  # type: ignore[method-assign]
    Trainer.accumulate = disturbed  # type: ignore[method-assign]
    OptimizerStep.step = saving_gradients  # type: ignore[method-assign]
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
