"""The plots of a comparison, each as PNG and as SVG."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from asr.common.files import save_picture
from asr.comparison.summary import Comparison, ModelSummary, shown_size

matplotlib.use("Agg")

PICTURES = {
    "wer": "Test {} of each model, with intervals and seeds",
    "curves": "Dev {} by training time",
    "lengths": "{} by utterance length",
    "reach": "Reach: how strongly an output frame depends on earlier and later input",
    "context": "{} with limited context",
}
"""By the name of the file, with a place for the error rate that counts."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Safe for colour-blind readers (Okabe & Ito, "Color universal design", 2008)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE: Any = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
    "axes.axisbelow": True, "axes.titlesize": 11, "axes.titlelocation": "left", "legend.frameon": False,
    "svg.hashsalt": "asr", "figure.constrained_layout.use": True,
}  # fmt: skip
GRID_POINTS = 200
LOWEST_GRADIENT = 1e-4
"""As a share of the largest: lower ones are not drawn."""

Floats = npt.NDArray[np.float64]


def draw(comparison: Comparison, folder: Path) -> list[Path]:
    """Draws the plots of a comparison that its data allows.

    Returns:
        The PNG files; there is an SVG of each too.
    """
    drawings: dict[str, Callable[[Axes, Comparison], None]] = {"wer": _forest, "curves": _curves}
    if len(comparison.lengths) > 1:
        drawings["lengths"] = _lengths
    if any(model.context_use for model in comparison.models):
        drawings |= {"reach": _reach, "context": _context}
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        return [_save(drawing, comparison, folder / f"{name}.png") for name, drawing in drawings.items()]


def _styled(comparison: Comparison) -> Iterator[tuple[int, ModelSummary, str, str]]:
    """The models with their places, colours and markers."""
    for place, model in enumerate(comparison.models):
        yield place, model, COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]


def _save(drawing: Callable[[Axes, Comparison], None], comparison: Comparison, path: Path) -> Path:
    height = 1.6 + 0.5 * len(comparison.models) if drawing is _forest else 4.2
    figure = Figure(figsize=(7.2, height))
    drawing(figure.add_subplot(), comparison)
    return save_picture(figure, path)


def _forest(axes: Axes, comparison: Comparison) -> None:
    models = comparison.models
    for place, model, colour, marker in _styled(comparison):
        rate = model.rate
        axes.plot([100 * rate.low, 100 * rate.high], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
        seeds = [100 * run.test.rate for run in model.runs]
        axes.plot(seeds, [place + 0.22] * len(seeds), "o", markersize=4, markerfacecolor="none", markeredgecolor=colour)
        axes.plot(100 * rate.mean, place, marker, color=colour, markersize=8)
        axes.annotate(
            f"{100 * rate.mean:.2f}", (100 * rate.mean, place), (0, 8), textcoords="offset points", ha="center",
            fontsize=9,
        )  # fmt: skip
    axes.set_yticks(range(len(models)), [model.label for model in models])
    axes.set_ylim(len(models) - 0.4, -0.7)
    axes.grid(visible=False, axis="y")
    axes.set(
        xlabel=f"test {comparison.unit.label}, % (mean, 95 % interval; circles are seeds)",
        title=f"{comparison.recipe}: {comparison.unit} error rate",
    )


def _curves(axes: Axes, comparison: Comparison) -> None:
    for _, model, colour, _ in _styled(comparison):
        seconds, mean, low, high = _mean_curve(model)
        axes.plot(seconds / 60, 100 * mean, color=colour, label=model.label, linewidth=1.6)
        if len(model.runs) > 1:
            axes.fill_between(seconds / 60, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(100 * comparison.dev_wer, color="#666666", linewidth=1, linestyle=":")
    axes.annotate(
        f"{100 * comparison.dev_wer:.1f} %", (1, 100 * comparison.dev_wer), (-2, 2), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", fontsize=8, color="#666666",
    )  # fmt: skip
    axes.set_yscale("log")
    lowest, highest = axes.get_ylim()
    axes.set_yticks([tick for tick in (1, 2, 5, 10, 20, 50, 100) if lowest <= tick <= highest])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="training time, minutes", ylabel=f"dev {comparison.unit.label}, % (log scale)")
    axes.set_title(
        f"{comparison.recipe}: dev {comparison.unit.label} during training (mean; band: lowest to highest seed)"
    )
    axes.legend()


def _mean_curve(model: ModelSummary) -> tuple[Floats, Floats, Floats, Floats]:
    """Seconds, and the mean, lowest and highest dev error rate of the seeds there."""
    start = max(run.curve_seconds[0] for run in model.runs)
    end = min(run.curve_seconds[-1] for run in model.runs)
    seconds = np.linspace(start, max(end, start), GRID_POINTS)
    rates = np.array([np.interp(seconds, run.curve_seconds, run.curve_wer) for run in model.runs])
    # A log scale has no 0.
    rates = np.maximum(rates, 1e-4)
    return seconds, rates.mean(axis=0), rates.min(axis=0), rates.max(axis=0)


def _lengths(axes: Axes, comparison: Comparison) -> None:
    classes = comparison.lengths
    width = 0.6 / len(comparison.models)
    for place, model, colour, marker in _styled(comparison):
        x = np.arange(len(classes)) + (place - (len(comparison.models) - 1) / 2) * width
        mean = np.array([100 * rate.mean for rate in model.by_length])
        below = mean - [100 * rate.low for rate in model.by_length]
        above = [100 * rate.high for rate in model.by_length] - mean
        axes.errorbar(
            x, mean, np.maximum([below, above], 0), fmt=marker, color=colour, label=model.label, capsize=2,
            linewidth=1.3, markersize=5,
        )  # fmt: skip
    axes.set_xticks(
        range(len(classes)), [f"{part.shortest:.1f} - {part.longest:.1f} s\n{shown_size(part)}" for part in classes]
    )
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    axes.set(xlabel="utterance length", ylabel=f"test {comparison.unit.label}, %")
    axes.set_title(f"{comparison.recipe}: {comparison.unit.label} by utterance length (mean, 95 % interval)")
    axes.legend(ncols=len(comparison.models), loc="upper left", fontsize=9)


def _reach(axes: Axes, comparison: Comparison) -> None:
    for _, model, colour, _ in _styled(comparison):
        if not (measured := model.context_use):
            continue
        lags = np.array(measured[0].lags)
        gradient = np.mean([np.interp(lags, use.lags, use.gradient) for use in measured], axis=0)
        shown = np.maximum(gradient, LOWEST_GRADIENT / 10)
        axes.plot(-lags, shown, color=colour, label=model.label, linewidth=1.4)
    axes.set_yscale("log")
    axes.set_ylim(LOWEST_GRADIENT, 1.3)
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_xlabel("time of the input frame, seconds before (-) and after (+) the output frame")
    axes.set_ylabel("gradient norm, share of the largest")
    axes.set_title(f"{comparison.recipe}: reach of the context")
    axes.legend()


def _context(axes: Axes, comparison: Comparison) -> None:
    labels: list[str] = []
    for _, model, colour, marker in _styled(comparison):
        if not (measured := model.context_use):
            continue
        labels = ["all" if seconds is None else f"{seconds:g}" for seconds in measured[0].contexts]
        rates = 100 * np.array([use.context_wer for use in measured])
        axes.plot(range(len(labels)), rates.mean(axis=0), color=colour, marker=marker, label=model.label)
        if len(measured) > 1:
            axes.fill_between(range(len(labels)), rates.min(axis=0), rates.max(axis=0), color=colour, alpha=0.15)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="context on either side of an output frame, seconds", ylabel=f"test {comparison.unit.label}, %")
    axes.set_title(f"{comparison.recipe}: {comparison.unit.label} with limited context")
    axes.legend()
