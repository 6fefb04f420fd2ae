"""`asr benchmark scaling`: how well 1, 2, 4 ... ranks of this machine are used by the training of a recipe."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from asr.commands import extract
from asr.common.files import save_picture
from asr.planning.scaling import Scaling, measure_ranks, processors, rank_counts
from asr.settings.compose import plain
from asr.settings.features import FeatureSource
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job

log = logging.getLogger(__name__)

HEAD = f"{'ranks':>5} {'h audio/h':>10} {'efficiency':>10} {'s/step':>8} {'data':>7} {'compute':>8} {'waiting':>8} "
HEAD += f"{'all-reduce':>10} {'padding':>8}"


def run(recipe: Recipe, config: Config) -> float:
    """Measures, prints a table, and keeps it as scaling.json, as a plot, and as a run in Weights & Biases.

    Returns:
        The efficiency of the most ranks: their speed as a share of the ideal.
    """
    if config.features.source is FeatureSource.store:
        extract.run(recipe, config)
    most, config = processors(config)
    folder = Path(config.paths.runs).absolute() / recipe.name / "scaling"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wandb_id").unlink(missing_ok=True)  # each benchmark is a run of its own
    rows: list[Scaling] = []
    with Tracker(folder, config.tracker, Job("scaling", recipe.name, plain(config), "benchmark")) as tracker:
        log.info(HEAD)
        for ranks in rank_counts(most):
            rows.append(measure_ranks(recipe, config, ranks))
            log.info(row(rows[-1], rows[0]))
            metrics = {f"scaling/{key}": value for key, value in asdict(rows[-1]).items() if key != "ranks"}
            tracker.log(ranks, 0.0, 0.0, metrics | {"scaling/efficiency": rows[-1].efficiency(rows[0])})
        (folder / "scaling.json").write_text(json.dumps([asdict(item) for item in rows], indent=1) + "\n", "utf-8")
        draw(rows, folder / "scaling.svg")
        log.info("The table is in %s, the plot in %s.", folder / "scaling.json", folder / "scaling.svg")
        log.info("%s", tracker.where())
    return rows[-1].efficiency(rows[0])


def row(measured: Scaling, single: Scaling) -> str:
    """A line of the table."""
    waits = f"{measured.data_wait:7.3f} {measured.compute:8.3f} {measured.straggler_wait:8.3f}"
    return (
        f"{measured.ranks:5} {measured.audio_hours_per_hour:10.1f} {100 * measured.efficiency(single):8.1f} % "
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
