"""Compares finished runs: what is measured on their models, the page, the pictures and Weights & Biases."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from asr.common.errors import RunError
from asr.common.files import atomic_write_text
from asr.comparison.context_use import ContextUse, measure_context_use
from asr.comparison.document import PAGE, body, model_cells, page, printed_tables
from asr.comparison.grid import Grid, PlannedRun
from asr.comparison.measured_runs import MeasuredRun, group_runs, multiply_adds, read_run
from asr.comparison.plots import draw
from asr.comparison.summary import SUMMARY, Comparison, Origin, summarize, write_summary
from asr.decoding.setup import GREEDY, decoder_name
from asr.inference.finished_run import FinishedRun
from asr.scoring.provenance import command, commit, hardware
from asr.settings.compose import plain
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job

log = logging.getLogger(__name__)

MEMORY = "memory"
"""In the folder of a comparison, what was measured of the use of context."""


@dataclass(frozen=True)
class Written:
    """A comparison on disk."""

    body: str
    """Its findings and tables."""
    tables: str
    """Its tables alone, in the chosen format."""
    page: Path
    where: str
    """A sentence on how to see it in Weights & Biases."""


def compare_grid(grid: Grid, runs: Sequence[PlannedRun], missing: Mapping[str, str]) -> Written | None:
    """Compares the runs of a grid that are done; None where none is.

    Args:
        runs: All runs of the grid.
        missing: By the name of each run that is not done, why.

    Raises:
        RunError: The runs cannot be compared.
    """
    models: dict[str, list[MeasuredRun]] = {}
    for variant in grid.variants:
        decoder = decoder_name(variant.config)
        if done := [run.folder.path for run in runs if run.variant is variant and run.done]:
            models[variant.label] = [read_run(path, decoder) for path in done]
    if not models:
        return None
    compare = grid.settings.compare
    origin = replace(
        _origin(grid.name, grid.recipe.name, compare.dev_wer), parameters=compare.parameters, minutes=compare.minutes
    )
    context = _context_use(models, grid.folder, compare.memory_seeds)
    comparison = summarize(origin, models, multiply_adds, context, missing)
    return _write(comparison, grid.settings, grid.folder)


def compare_runs(
    paths: Sequence[Path], folder: Path, decoder: str | None, dev_wer: float | None, memory_seeds: int
) -> Written:
    """Compares run folders.

    Args:
        folder: The folder of the comparison.
        decoder: Whose results are compared; None takes those of greedy search.
        dev_wer: What the time to a dev WER is measured to; None takes the lowest that all runs reach.
        memory_seeds: Runs of each model on which its use of context is measured.

    Raises:
        RunError: A path is no run, the runs cannot be compared, or the folder has other files than a comparison.
    """
    there = {path.name for path in folder.iterdir()} - {MEMORY} if folder.is_dir() else set()
    if there and SUMMARY not in there:  # a run has metrics.jsonl too
        raise RunError(f"{folder} has other files: set -o to an empty folder, or to that of an earlier comparison.")
    runs = [read_run(path.absolute(), decoder or GREEDY) for path in paths]
    models = group_runs(runs)
    recipes = sorted({run.test.recipe for run in runs})
    folder = folder.absolute()
    context = _context_use(models, folder, memory_seeds)
    comparison = summarize(_origin(folder.name, ", ".join(recipes), dev_wer), models, multiply_adds, context, {})
    return _write(comparison, runs[0].config, folder)


def _origin(name: str, recipe: str, dev_wer: float | None) -> Origin:
    return Origin(name, recipe, command(), commit(), hardware(), torch.__version__, dev_wer=dev_wer)


def _context_use(models: Mapping[str, Sequence[MeasuredRun]], folder: Path, seeds: int) -> dict[Path, ContextUse]:
    use = {}
    for label, runs in models.items():
        for run in runs[:seeds] if runs[0].test.unit.of_text else ():
            log.info("Measuring the use of context of %s: %s", label, run.path.name)
            kept = folder / MEMORY / f"{run.path.name}.json"
            recipe = Recipe(Path(run.test.recipe))
            use[run.path] = measure_context_use(FinishedRun.at(run.path), recipe, kept, run.test.unit)
    return use


def _write(comparison: Comparison, settings: Config, folder: Path) -> Written:
    write_summary(folder / SUMMARY, comparison)
    pictures = draw(comparison, folder)
    atomic_write_text(folder / PAGE, page(comparison, pictures))
    return Written(
        body(comparison), printed_tables(comparison), folder / PAGE, _track(comparison, settings, folder, pictures)
    )


def _track(comparison: Comparison, settings: Config, folder: Path, pictures: Sequence[Path]) -> str:
    """Logs the comparison as a run of its own, in one group with its trainings; gives the sentence on how to see it."""
    job = Job(comparison.name, comparison.recipe, plain(settings), "compare", group=comparison.name)
    with Tracker(folder, settings.tracker, job) as tracker:
        for model in comparison.models:
            rate, figure = model.rate, model.unit.rate
            figures = {figure: rate.mean, f"{figure}_low": rate.low, f"{figure}_high": rate.high}
            figures |= {model.unit.other.rate: model.other_rate.mean, "train_seconds": model.train_seconds.mean}
            tracker.summary({f"{model.label}/{figure}": value for figure, value in figures.items()})
        tracker.show_table("comparison", *model_cells(comparison))
        tracker.show_pictures({picture.stem: picture for picture in pictures})
        return tracker.where()
