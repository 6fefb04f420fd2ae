"""A comparison as a Markdown page."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import mean

from asr.common.tables import markdown_table, table
from asr.comparison.conclusions import findings, p_value, percent, points
from asr.comparison.plots import PICTURES
from asr.comparison.summary import Comparison, ModelSummary, Spread, shown_size
from asr.scoring.bootstrap import Estimate, shown_interval
from asr.scoring.results import Results


def size_of(model: ModelSummary) -> str:
    """The layers of a model, as in "3 x 256 lstm"."""
    return f"{model.layers} x {model.hidden} {'-'.join(model.cells)}"


PAGE = "comparison.md"


def page(comparison: Comparison, pictures: Sequence[Path]) -> str:
    """The whole page, in Markdown, with plots that are files in its own folder."""
    captions = {picture: PICTURES[picture.stem].format(comparison.unit.label) for picture in pictures}
    shown = "".join(f"![{caption}]({picture.name})\n\n" for picture, caption in captions.items())
    return f"# {comparison.name}\n\n{body(comparison)}\n{shown}{_runs(comparison)}"


def body(comparison: Comparison) -> str:
    """Findings and tables, without a title."""
    return "\n".join(
        [
            _conditions(comparison),
            markdown_table(*model_cells(comparison)),
            markdown_table(*_cost_cells(comparison)),
            *([_pair_table(comparison)] if comparison.pairs else []),
            *([markdown_table(*_length_cells(comparison))] if len(comparison.lengths) > 1 else []),
            *_context_table(comparison),
            "What the figures show:\n",
            *(f"- {sentence}" for sentence in findings(comparison)),
            "",
        ]
    )


Cells = tuple[list[str], list[list[str]]]
"""The heads of the columns of a table, and its rows."""


def printed_tables(comparison: Comparison) -> str:
    """The tables for a terminal, in the chosen format."""
    tables = {
        "Error rates": model_cells(comparison),
        "Cost": _cost_cells(comparison),
        "Pairs": _pair_cells(comparison),
        "Utterance length": _length_cells(comparison),
        "Context": _context_cells(comparison),
    }
    return "\n\n".join(table(*cells, title=title) for title, cells in tables.items() if cells[1])


def model_cells(comparison: Comparison) -> Cells:
    """Error rates and sizes: the heads of the columns, and the cells of each model."""
    rows = [
        [
            model.label,
            size_of(model),
            f"{model.parameters / 1e6:.2f} M",
            str(len(model.runs)),
            "-" if model.dev_wer is None else percent(model.dev_wer.mean),
            _estimate(model.rate),
            _interval(model.rate),
            _estimate(model.other_rate),
            _interval(model.other_rate),
        ]
        for model in comparison.models
    ]
    rate, other = comparison.unit.label, comparison.unit.other.label
    heads = ["model", "layers", "parameters", "seeds", f"dev {rate} %", f"test {rate} %", "95 %", f"test {other} %"]
    measured = {
        head: cells
        for head, figure in FURTHER.items()
        if any(cells := [_mean_figure(model, figure) for model in comparison.models])
    }
    for place, row in enumerate(rows):
        row += [cells[place] or "-" for cells in measured.values()]
    return [*heads, "95 %", *measured], rows


FURTHER: dict[str, Callable[[Results], float | None]] = {
    "delay of words, median s": lambda results: None if results.delay is None else results.delay.median,
    "90 % within, s": lambda results: None if results.delay is None else results.delay.percentile_90,
    "precision %": lambda results: None if results.speech is None else 100 * results.speech.precision,
    "recall %": lambda results: None if results.speech is None else 100 * results.speech.recall,
    "area under curve": lambda results: None if results.speech is None else results.speech.area_under_curve,
    "delay, s": lambda results: None if results.speech is None else results.speech.delay,
}
"""Figures of the test split that only some models have, by the heads of their columns."""


def _mean_figure(model: ModelSummary, figure: Callable[[Results], float | None]) -> str | None:
    """The mean over the seeds; None where one was not measured."""
    found = [figure(run.test) for run in model.runs]
    known = [value for value in found if value is not None]
    return f"{mean(known):.4g}" if known and len(known) == len(found) else None


def _conditions(comparison: Comparison) -> str:
    equal = []
    if comparison.parameters is not None:
        equal.append(f"sized to {comparison.parameters / 1e6:.4g} M parameters, within 2 %")
    if comparison.minutes is not None:
        equal.append(f"trained for as many epochs as fit {comparison.minutes:g} minutes")
    count = comparison.speakers
    speakers = f"{count} speaker{'' if count == 1 else 's'}, " if count else ""
    resampled = "speakers" if comparison.speakers > 1 else "utterances"
    return (
        f"Recipe {comparison.recipe}, test split ({comparison.utterances} utterances, {speakers}"
        f"{shown_size(comparison)}), {comparison.decoder} decoding. The models were "
        f"{', and '.join(equal) or 'taken as they are'}. "
        f"Made on {comparison.hardware}, PyTorch {comparison.torch}, by\n\n    {comparison.command}\n\n"
        "Error rates are means over the seeds, ± their standard deviation; intervals are of the mean, by a bootstrap "
        f"over {resampled} and seeds.\n"
    )


def _cost_cells(comparison: Comparison) -> Cells:
    rows = [
        [
            model.label,
            "-" if model.multiply_adds_per_second is None else f"{model.multiply_adds_per_second / 1e6:.1f}",
            str(timedelta(seconds=round(model.train_seconds.mean))),
            f"{mean(run.epochs for run in model.runs):g}",
            _spread(model.seconds_to_dev_wer, 0),
            _spread(model.audio_hours_per_hour, 0),
            _spread(model.peak_memory_mb, 0),
            _spread(model.real_time_factor, 4),
        ]
        for model in comparison.models
    ]
    threads = sorted({str(run.threads or "all") for model in comparison.models for run in model.runs})
    heads = [
        "model", "M multiply-adds / s of audio", "training", "epochs",
        f"s to dev {comparison.unit.label} {percent(comparison.dev_wer)} %", "training speed, x real time", "peak MB",
        f"real-time factor, threads: {'/'.join(threads)}",
    ]  # fmt: skip
    return heads, rows


def _pair_cells(comparison: Comparison) -> Cells:
    rows = [
        [
            f"{pair.first} - {pair.second}",
            points(pair.mean),
            f"{points(pair.low)} to {points(pair.high)}",
            f"{pair.improvement:.3f}",
            p_value(pair.p),
            p_value(pair.p_corrected),
        ]
        for pair in comparison.pairs
    ]
    heads = [f"difference of {comparison.unit.label}", "points", "95 %", "P(first is better)", "p", "p, corrected"]
    return heads, rows


def _pair_table(comparison: Comparison) -> str:
    return (
        "Each pair is tested by a matched-pair bootstrap (Bisani & Ney, 2004): both models on the same drawn set, the "
        "seeds of each drawn independently. The last column is corrected for the number of pairs "
        f"({len(comparison.pairs)}; Holm, 1979).\n\n"
        f"{markdown_table(*_pair_cells(comparison))}"
    )


def _length_cells(comparison: Comparison) -> Cells:
    if len(comparison.lengths) < 2:
        return [], []
    unit, lengths = comparison.unit, comparison.lengths
    heads = [f"{unit.label} % by length", *(f"{part.shortest:.1f} - {part.longest:.1f} s" for part in lengths)]
    rows = [
        [model.label, *(f"{percent(rate.mean)} ({_interval(rate)})" for rate in model.by_length)]
        for model in comparison.models
    ]
    return heads, [[f"{unit}s", *(shown_size(part).split()[0] for part in lengths)], *rows]


def _context_cells(comparison: Comparison) -> Cells:
    rows: list[list[str]] = []
    heads: list[str] = []
    rate = comparison.unit.label
    for model in comparison.models:
        if measured := model.context_use:
            contexts = ["all" if seconds is None else f"{seconds:g} s" for seconds in measured[0].contexts]
            heads = ["model", "past, s", "future, s", *(f"{rate} %, {context}" for context in contexts)]
            sides = [mean(use.past for use in measured), mean(use.future for use in measured)]
            rates = [mean(use.context_wer[place] for use in measured) for place in range(len(contexts))]
            rows.append([model.label, *(f"{side:.2f}" for side in sides), *map(percent, rates)])
    return heads, rows


def _context_table(comparison: Comparison) -> list[str]:
    heads, rows = _context_cells(comparison)
    if not rows:
        return []
    rate = comparison.unit.label
    return [
        "How much context the models use: their reach (the seconds of past and future that hold 90 % of the gradient "
        f"norm), and the {rate} with limited context on either side of each output frame. All were trained on whole "
        "utterances.\n\n"
        f"{markdown_table(heads, rows)}"
    ]


def _runs(comparison: Comparison) -> str:
    unit, other = comparison.unit, comparison.unit.other
    rows = [
        [
            run.test.run,
            str(run.seed),
            "-" if run.dev is None else percent(run.dev.rate),
            percent(run.test.rate),
            percent(run.test.rate_in(other)),
            str(timedelta(seconds=round(run.test.train_seconds))),
        ]
        for model in comparison.models
        for run in model.runs
    ]
    commands = "".join(f"    {run.test.command}\n" for model in comparison.models for run in model.runs)
    heads = ["run", "seed", f"dev {unit.label} %", f"test {unit.label} %", f"test {other.label} %", "training"]
    return f"## Runs\n\n{markdown_table(heads, rows)}\nTheir commands, in the same order:\n\n{commands}"


def _estimate(rate: Estimate) -> str:
    return percent(rate.mean) + ("" if rate.deviation is None else f" ± {percent(rate.deviation)}")


def _interval(rate: Estimate) -> str:
    return shown_interval(rate.low, rate.high)


def _spread(spread: Spread | None, decimals: int) -> str:
    if spread is None:
        return "-"
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.{decimals}f}"
    return f"{spread.mean:.{decimals}f}{deviation}"
