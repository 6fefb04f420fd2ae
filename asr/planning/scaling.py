"""How well ranks are used: the speed of a training, and where the time of its steps goes."""

import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import connection
from pathlib import Path
from typing import TypeVar

import torch

from asr.batching.loader import Batch
from asr.batching.steps import Step
from asr.common.documents import from_json, read_json
from asr.common.errors import RunError
from asr.common.processes import cores
from asr.settings.hardware import Device
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.acoustic_training import AcousticData, AcousticTrainer, build_trainer
from asr.training.distributed import join_ranks, no_sync
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder

WARM_UP, STEPS = 3, 20

T = TypeVar("T")


@dataclass(frozen=True)
class Scaling:
    """The speed that a number of ranks reaches. Times are means over steps and ranks (s)."""

    ranks: int
    audio_hours_per_hour: float
    """Audio that is trained on, after speed perturbation."""
    step_seconds: float
    data_wait: float
    """Waiting for the loader."""
    compute: float
    """Forward, backward and the optimizer."""
    straggler_wait: float
    """Waiting for the slowest rank."""
    all_reduce: float
    """Adding up the gradients, apart from the backward pass, with which a training overlaps it."""
    padding_share: float
    """Padding as a share of the audio that is computed."""

    def efficiency(self, single: "Scaling") -> float:
        """The speed as a share of the ideal: that of a single rank times the number of ranks."""
        return self.audio_hours_per_hour / single.audio_hours_per_hour / self.ranks


def rank_counts(processors: int) -> list[int]:
    """1, 2, 4 and so on, and all."""
    return sorted({2**power for power in range(processors.bit_length())} | {processors})


def processors(config: Config) -> tuple[int, Config]:
    """How many ranks there can be, and the configuration of each: with one thread where none is given."""
    if config.hardware.device is not Device.cpu and torch.cuda.is_available():
        return torch.cuda.device_count(), config
    threads = config.hardware.threads or 1
    return max(1, cores() // threads), replace(config, hardware=replace(config.hardware, threads=threads))


def measure_ranks(recipe: Recipe, config: Config, ranks: int) -> Scaling:
    """Measures with a number of ranks, in processes of their own.

    Raises:
        RunError: A rank failed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        outcome = Path(scratch) / "outcome.json"
        places = [
            {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks, "MASTER_PORT": port}
            for rank in range(ranks)
        ]
        processes = [context.Process(target=_measure_rank, args=(recipe, config, place, outcome)) for place in places]
        for process in processes:
            process.start()
        running = list(processes)
        while running:
            connection.wait([process.sentinel for process in running])
            if any(process.exitcode for process in running):
                for process in running:
                    process.terminate()  # they wait for the one that failed
            running = [process for process in running if process.exitcode is None]
        if any(process.exitcode for process in processes) or not outcome.exists():
            raise RunError(f"A rank of {ranks} failed in the benchmark: see its error above.")
        return from_json(Scaling, read_json(outcome))


def _measure_rank(recipe: Recipe, config: Config, place: dict[str, int], outcome: Path) -> None:
    os.environ |= {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
    hardware = resolve_hardware(config.hardware)
    ranks = join_ranks(hardware.device, config.cluster.join_minutes)
    # Neither the metrics of a step nor a step that is not finite belong to the measurement.
    training = replace(config.training, log_every_steps=sys.maxsize, max_skipped_steps=sys.maxsize)
    config = replace(config, training=training)
    data, folder = AcousticData.read(recipe, config), RunFolder(outcome.parent / "run", "")
    measured = measure(build_trainer(data, hardware, ranks, folder))
    if ranks.first:
        outcome.write_text(json.dumps(asdict(measured)), encoding="utf-8")


def measure(trainer: AcousticTrainer) -> Scaling:
    """Takes some steps as a training does, and then the same steps with each part on its own.

    All ranks call it together.
    """
    seconds, audio, padding = _speed(trainer)
    parts = trainer.ranks.sum(torch.tensor(_split(trainer), device=trainer.hardware.device)) / trainer.ranks.size
    data_wait, compute, straggler_wait, all_reduce = parts.tolist()
    speed, step = audio / seconds, seconds / STEPS
    return Scaling(trainer.ranks.size, speed, step, data_wait, compute, straggler_wait, all_reduce, padding)


def _steps(trainer: AcousticTrainer) -> tuple[list[Step], Iterator[Batch]]:
    # From the second epoch on: the first may be ordered by length.
    steps = list(islice(trainer.steps.start(1, 0, 1 + WARM_UP + STEPS), WARM_UP + STEPS))
    return steps, trainer.load(steps)


def _speed(trainer: AcousticTrainer) -> tuple[float, float, float]:
    """Time of the measured steps (s), their audio (s) and their padding."""
    steps, batches = _steps(trainer)
    began, padded = 0.0, 0.0
    for number, step in enumerate(steps):
        if number == WARM_UP:
            began = _now(trainer)
        trainer.train_step(step, batches)
        padded += step.seconds / (1 - step.padding) if number >= WARM_UP else 0.0
    audio = sum(step.seconds for step in steps[WARM_UP:])
    return _now(trainer) - began, audio, 1 - audio / padded


def _split(trainer: AcousticTrainer) -> list[float]:
    """Mean times of a step on this rank (s): data wait, compute, straggler wait, all-reduce."""
    steps, batches = _steps(trainer)
    totals = [0.0, 0.0, 0.0, 0.0]
    for number, step in enumerate(steps):
        if number == WARM_UP:
            totals = [0.0, 0.0, 0.0, 0.0]
        with no_sync(trainer.parallel):
            for _ in step.micro_batches:
                batch, waited = _timed(trainer, lambda: next(batches))
                _, computed = _timed(trainer, partial(trainer.backward, batch, step))
                totals[0] += waited
                totals[1] += computed
        totals[2] += _timed(trainer, lambda: trainer.ranks.sum(torch.zeros(1, device=trainer.hardware.device)))[1]
        totals[3] += _timed(trainer, lambda: _add_up(trainer))[1]
        totals[1] += _timed(trainer, lambda: _update(trainer))[1]
    return [total / STEPS for total in totals]


def _add_up(trainer: AcousticTrainer) -> None:
    gradients = [weight.grad.flatten() for weight in trainer.model.parameters() if weight.grad is not None]
    trainer.ranks.sum(torch.cat(gradients))


def _update(trainer: AcousticTrainer) -> None:
    trainer.optimizer_step.unscale()
    trainer.optimizer_step.step(trainer.optimizer_step.gradient_norm(), 1)
    trainer.optimizer_step.finish()


def _timed(trainer: AcousticTrainer, action: Callable[[], T]) -> tuple[T, float]:
    began = _now(trainer)
    outcome = action()
    return outcome, _now(trainer) - began


def _now(trainer: AcousticTrainer) -> float:
    if trainer.hardware.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
