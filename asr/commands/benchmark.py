"""`asr benchmark scaling`: how well 1, 2, 4 ... ranks of this machine are used by the training of a recipe."""

import json
import logging
import multiprocessing
import os
import socket
import tempfile
from dataclasses import asdict, replace
from multiprocessing import connection
from pathlib import Path

import torch

from asr.commands import extract
from asr.common.errors import RunError
from asr.common.figures import save_picture
from asr.common.processes import cores
from asr.planning.scaling import Scaling, measure
from asr.settings.compose import plain
from asr.settings.features import FeatureSource
from asr.settings.hardware import Device
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job
from asr.training.building import build_trainer, read_splits
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware
from asr.training.run_folder import RunFolder

log = logging.getLogger(__name__)

HEAD = f"{'ranks':>5} {'h audio/h':>10} {'efficiency':>10} {'s/step':>8} {'data':>7} {'compute':>8} {'waiting':>8} "
HEAD += f"{'all-reduce':>10} {'padding':>8}"


def run(recipe: Recipe, config: Config) -> float:
    """Measures, prints a table, and keeps it as scaling.json, as a plot, and as a run in Weights & Biases.

    Returns:
        The efficiency of the most ranks: their speed as a share of as many times that of one.

    Raises:
        RunError: A rank failed.
    """
    if config.features.source is FeatureSource.store:
        extract.run(recipe, config)
    processors, config = _processors(config)
    folder = Path(config.paths.runs).absolute() / recipe.name / "scaling"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wandb_id").unlink(missing_ok=True)  # each benchmark is a run of its own
    rows: list[Scaling] = []
    with Tracker(folder, config.tracker, Job("scaling", recipe.name, plain(config), "benchmark")) as tracker:
        log.info(HEAD)
        for ranks in sizes(processors):
            rows.append(_measured(recipe, config, ranks))
            log.info(row(rows[-1], rows[0]))
            metrics = {f"scaling/{key}": value for key, value in asdict(rows[-1]).items() if key != "ranks"}
            tracker.log(ranks, 0.0, 0.0, metrics | {"scaling/efficiency": efficiency(rows[-1], rows[0])})
        (folder / "scaling.json").write_text(json.dumps([asdict(item) for item in rows], indent=1) + "\n", "utf-8")
        draw(rows, folder / "scaling.svg")
        log.info("The table is in %s, the plot in %s.", folder / "scaling.json", folder / "scaling.svg")
        log.info("%s", tracker.where())
    return efficiency(rows[-1], rows[0])


def sizes(processors: int) -> list[int]:
    """1, 2, 4 ... and all."""
    return sorted({2**power for power in range(processors.bit_length())} | {processors})


def efficiency(measured: Scaling, alone: Scaling) -> float:
    """The speed of several ranks as a share of as many times that of one."""
    return measured.audio_hours_per_hour / alone.audio_hours_per_hour / measured.ranks


def row(measured: Scaling, alone: Scaling) -> str:
    """A line of the table."""
    waits = f"{measured.data_wait:7.3f} {measured.compute:8.3f} {measured.straggler_wait:8.3f}"
    return (
        f"{measured.ranks:5} {measured.audio_hours_per_hour:10.1f} {100 * efficiency(measured, alone):8.1f} % "
        f"{measured.step_seconds:8.3f} {waits} {measured.all_reduce:10.3f} {100 * measured.padding_share:6.1f} %"
    )


def draw(rows: list[Scaling], path: Path) -> None:
    """Plots the speed against the ideal one, and the parts of a step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    speed, parts = figure.subplots(1, 2)
    ranks = [item.ranks for item in rows]
    speed.plot(ranks, [item.audio_hours_per_hour for item in rows], marker="o", label="measured")
    speed.plot(ranks, [rows[0].audio_hours_per_hour * size for size in ranks], linestyle="--", label="ideal")
    speed.set(xlabel="ranks", ylabel="hours of audio per hour", xticks=ranks)
    speed.legend()
    bottom = [0.0] * len(rows)
    for name in ("compute", "data_wait", "straggler_wait", "all_reduce"):
        values = [float(getattr(item, name)) for item in rows]
        parts.bar([str(size) for size in ranks], values, bottom=bottom, label=name.replace("_", " "))
        bottom = [low + value for low, value in zip(bottom, values, strict=True)]
    parts.set(xlabel="ranks", ylabel="seconds of a step, parts one after the other")
    parts.legend()
    save_picture(figure, path)


def _processors(config: Config) -> tuple[int, Config]:
    """How many ranks there can be, and the configuration of each: with one thread where none is given."""
    if config.hardware.device is not Device.cpu and torch.cuda.is_available():
        return torch.cuda.device_count(), config
    threads = config.hardware.threads or 1
    return max(1, cores() // threads), replace(config, hardware=replace(config.hardware, threads=threads))


def _measured(recipe: Recipe, config: Config, ranks: int) -> Scaling:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        outcome = Path(scratch) / "outcome.json"
        processes = [
            context.Process(target=_rank, args=(recipe, config, rank, ranks, port, outcome)) for rank in range(ranks)
        ]
        for process in processes:
            process.start()
        running = list(processes)
        while running:
            connection.wait([process.sentinel for process in running])
            if any(process.exitcode for process in running):
                for process in running:
                    process.terminate()  # those that wait for the one that failed
            running = [process for process in running if process.exitcode is None]
        if any(process.exitcode for process in processes) or not outcome.exists():
            raise RunError(f"A rank of {ranks} failed in the benchmark: its error stands above.")
        return Scaling(**json.loads(outcome.read_text(encoding="utf-8")))


def _rank(recipe: Recipe, config: Config, rank: int, ranks: int, port: int, outcome: Path) -> None:
    places = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in places.items()} | {"MASTER_ADDR": "127.0.0.1"}
    hardware = resolve_hardware(config.hardware)
    group = join_ranks(hardware.device, config.cluster.join_minutes)
    train, dev = read_splits(recipe, config)
    folder = RunFolder(outcome.parent / "run", "")
    measured = measure(build_trainer(recipe, config, train, dev, hardware, group, folder))
    if group.first:
        outcome.write_text(json.dumps(asdict(measured)), encoding="utf-8")
