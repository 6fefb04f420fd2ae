"""Small trainings in processes of their own, some of which die or tell what they see."""

import errno
import functools
import json
import os
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

ROOT = Path(__file__).parents[2]
SMALL = [
    "model.hidden=24",
    "model.channels=4",
    "tokenizer=char",
    "hardware.threads=1",
    "tracker=disabled",
    "batching.global_seconds=20",
]


def prepare_yesno(data: Path) -> str:
    """Prepares yesno, or tones in its place where no mirror has it; gives the recipe's name."""
    try:
        mirrored("waves_yesno.tar.gz")
    except pytest.skip.Exception:
        lines = [("YES " if number & bit else "NO ") * 3 for number in range(10) for bit in (1, 2, 4)]
        texts = {"train": [line.strip() for line in lines[:25]], "dev": ["YES NO", "NO YES"], "test": ["NO", "YES"]}
        write_corpus(data / "yesno", texts, sampling_rate=8000)
    else:
        recipe = Recipe(RECIPES / "yesno")
        load_prepare("yesno").prepare(compose(recipe), data / "archives", data / "yesno")
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
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    arguments = [
        sys.executable,
        *launcher,
        "-m",
        "tests.helpers.trainings",
        *command.split(),
        recipe,
        *paths,
        *SMALL,
        *overrides,
    ]
    return subprocess.run(
        arguments, cwd=ROOT, env=os.environ | environment, check=False, stdout=subprocess.PIPE, text=True
    )


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
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds" and not k.startswith(("time/", "system/"))} for row in rows]


def main() -> None:
    """`asr`, but it kills itself before the step DIE_AT, and writes the gradients of the first step to GRADIENTS.

    The files VANISH (a search path) are deleted, and those of ROT overwritten, before the first step, or before the
    step VANISH_AT. On the last rank the loss of the steps POISON_AT (as in 3,4) is not a number. The disk is full after
    DISK_FULL_AT writes that must be whole. To read an utterance takes SLOW_READS seconds more. With LOSS_SCALE, the
    first one, float16 runs on a CPU too, and the scale rises after three good steps.
    """
    from asr.batching import loader
    from asr.batching.dataset import Dataset
    from asr.commands import cli
    from asr.training import hardware, trainer
    from asr.training import optimization as update

    agree, take = trainer.Trainer._agree, trainer.Update.take
    steps = 0

    def taken(self: trainer.Update, norm: torch.Tensor, step: int) -> None:
        if step == 1 and "GRADIENTS" in os.environ and os.environ.get("RANK", "0") == "0":
            torch.save([parameter.grad for parameter in self.model.parameters()], os.environ["GRADIENTS"])
        take(self, norm, step)

    def watched(self: trainer.Trainer, *arguments: Any) -> Any:
        nonlocal steps
        if steps == int(os.environ.get("DIE_AT", "-1")):
            os.kill(os.getpid(), signal.SIGKILL)
        if steps == int(os.environ.get("TERMINATE_AT", "-1")):
            os.kill(os.getpid(), signal.SIGTERM)
        steps += 1
        return agree(self, *arguments)

    accumulate = trainer.Trainer._accumulate
    poisoned = os.environ.get("POISON_AT", "").split(",")
    last = os.environ.get("RANK", "0") == str(int(os.environ.get("WORLD_SIZE", "1")) - 1)

    def poisonous(self: trainer.Trainer, *arguments: Any) -> torch.Tensor:
        loss = accumulate(self, *arguments)
        return loss * float("nan") if last and str(self.done.step) in poisoned else loss

    sync, writes = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal writes
        writes += 1
        if writes > int(os.environ.get("DISK_FULL_AT", "1000000")):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    def vanish() -> None:
        for path in filter(None, os.environ.get("VANISH", "").split(os.pathsep)):
            Path(path).unlink(missing_ok=True)
        for path in filter(None, os.environ.get("ROT", "").split(os.pathsep)):
            Path(path).write_bytes(b"RIFF")

    fit = trainer.Trainer.fit

    def fit_without(self: trainer.Trainer, *arguments: Any) -> float:
        if "VANISH_AT" not in os.environ:
            vanish()
        return fit(self, *arguments)

    def vanishing(self: trainer.Trainer, *arguments: Any) -> torch.Tensor:
        if str(self.done.step) == os.environ.get("VANISH_AT"):
            vanish()
        return poisonous(self, *arguments)

    read = Dataset.__call__

    def slow(self: Dataset, number: int, epoch: int) -> torch.Tensor:
        time.sleep(float(os.environ["SLOW_READS"]))
        return read(self, number, epoch)

    if "LOSS_SCALE" in os.environ:
        hardware._refuse_on_cpu = lambda config: None
        begin = {"init_scale": float(os.environ["LOSS_SCALE"]), "growth_interval": 3}
        update.GradScaler = functools.partial(update.GradScaler, **begin)  # type: ignore[misc, assignment]
    if "SLOW_READS" in os.environ:
        Dataset.__call__ = slow  # type: ignore[method-assign]
    loader.RETRY_SECONDS = (0.0,)
    trainer.Trainer.fit = fit_without  # type: ignore[method-assign]
    os.fsync = full
    trainer.Trainer._accumulate = vanishing  # type: ignore[method-assign]
    trainer.Trainer._agree = watched  # type: ignore[method-assign]
    trainer.Update.take = taken  # type: ignore[method-assign]
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
