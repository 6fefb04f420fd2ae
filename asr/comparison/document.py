"""A comparison as a Markdown page."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from asr.comparison.plots import PICTURES
from asr.comparison.sentences import findings, size_of
from asr.comparison.summary import Comparison, ModelSummary, Spread
from asr.scoring.paired import Estimate

PAGE = "comparison.md"


def page(comparison: Comparison, pictures: Sequence[Path]) -> str:
    """The whole page.

    Args:
        pictures: Files in the page's own folder.
    """
    shown = "".join(f"![{PICTURES[picture.stem]}]({picture.name})\n\n" for picture in pictures)
    return f"# {comparison.name}\n\n{body(comparison)}\n{shown}{_runs(comparison)}"


def body(comparison: Comparison) -> str:
    """What was found and the tables, without headings of the first order."""
    return "\n".join(
        [
            _conditions(comparison),
            model_table(comparison),
            _cost_table(comparison),
            *([_pair_table(comparison)] if comparison.pairs else []),
            *([_length_table(comparison)] if len(comparison.lengths) > 1 else []),
            *_memory_table(comparison),
            "What the figures show:\n",
            *(f"- {sentence}" for sentence in findings(comparison)),
            "",
        ]
    )


def model_table(comparison: Comparison) -> str:
    """Error rates and sizes, a line for each model."""
    rows = [
        [
            model.label,
            size_of(model),
            f"{model.parameters / 1e6:.2f} M",
            str(len(model.runs)),
            "-" if model.dev_wer is None else _percent(model.dev_wer.mean),
            _estimate(model.wer),
            _interval(model.wer),
            _estimate(model.cer),
            _interval(model.cer),
        ]
        for model in comparison.models
    ]
    heads = ["model", "layers", "parameters", "seeds", "dev WER %", "test WER %", "95 %", "test CER %", "95 %"]
    return table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column being text and the others numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _conditions(comparison: Comparison) -> str:
    equal = []
    if comparison.parameters is not None:
        equal.append(f"sized to {comparison.parameters / 1e6:.4g} M parameters, within 2 %")
    if comparison.minutes is not None:
        equal.append(f"given as many epochs as fit {comparison.minutes:g} minutes of training")
    speakers = _count(comparison.speakers, "speaker") + ", " if comparison.speakers else ""
    resampled = "speakers" if comparison.speakers > 1 else "utterances"
    return (
        f"Recipe {comparison.recipe}, test split ({comparison.utterances} utterances, {speakers}{comparison.words} "
        f"words), {comparison.decoder} decoding. The models were {', and '.join(equal) or 'taken as they are'}. "
        f"Made on {comparison.hardware}, PyTorch {comparison.torch}, by\n\n    {comparison.command}\n\n"
        "Error rates are means over the seeds, ± their standard deviation; intervals are of the mean, by a bootstrap "
        f"that draws {resampled} and seeds.\n"
    )


def _cost_table(comparison: Comparison) -> str:
    rows = [
        [
            model.label,
            _millions(model),
            str(timedelta(seconds=round(model.train_seconds.mean))),
            f"{_epochs(model):g}",
            _spread(model.seconds_to_dev_wer, 0),
            _spread(model.audio_hours_per_hour, 0),
            _spread(model.peak_memory_mb, 0),
            _spread(model.real_time_factor, 4),
        ]
        for model in comparison.models
    ]
    threads = sorted({str(run.threads or "all") for model in comparison.models for run in model.runs})
    heads = [
        "model",
        "M multiply-adds / s of audio",
        "training",
        "epochs",
        f"s to dev WER {_percent(comparison.dev_wer)} %",
        "h of audio / h",
        "peak MB",
        f"real-time factor, threads: {'/'.join(threads)}",
    ]
    return table(heads, rows)


def _pair_table(comparison: Comparison) -> str:
    rows = [
        [
            f"{pair.first} - {pair.second}",
            f"{100 * pair.mean:+.2f}",
            f"{100 * pair.low:+.2f} to {100 * pair.high:+.2f}",
            f"{pair.improvement:.3f}",
            _p(pair.p),
            _p(pair.p_corrected),
        ]
        for pair in comparison.pairs
    ]
    heads = ["difference of WER", "points", "95 %", "P(first is better)", "p", "p, corrected"]
    return (
        "Each pair is tested by a matched-pair bootstrap (Bisani & Ney, 2004): both models on the same drawn set, the "
        f"seeds of each drawn anew. The last column is corrected for the number of pairs ({len(rows)}; Holm, 1979).\n\n"
        f"{table(heads, rows)}"
    )


def _length_table(comparison: Comparison) -> str:
    heads = ["WER % by length", *(f"{part.shortest:.1f} - {part.longest:.1f} s" for part in comparison.lengths)]
    rows = [
        [model.label, *(f"{_percent(wer.mean)} ({_interval(wer)})" for wer in model.by_length)]
        for model in comparison.models
    ]
    return table(heads, [["words", *(str(part.words) for part in comparison.lengths)], *rows])


def _memory_table(comparison: Comparison) -> list[str]:
    rows = []
    heads: list[str] = []
    for model in comparison.models:
        memories = [run.memory for run in model.runs if run.memory is not None]
        if memories:
            count = len(memories)
            contexts = ["all" if seconds is None else f"{seconds:g} s" for seconds in memories[0].contexts]
            heads = ["model", "past, s", "future, s", *(f"WER %, {context}" for context in contexts)]
            means = [sum(memory.context_wer[place] for memory in memories) / count for place in range(len(contexts))]
            sides = [sum(memory.past for memory in memories) / count, sum(memory.future for memory in memories) / count]
            rows.append([model.label, *(f"{side:.2f}" for side in sides), *map(_percent, means)])
    if not rows:
        return []
    return [
        "How far a frame is felt (the seconds that hold 90 % of the gradient's norm), and the WER when each output "
        "frame hears only so much on either side, with the models as they were trained on whole utterances:\n\n"
        f"{table(heads, rows)}"
    ]


def _runs(comparison: Comparison) -> str:
    rows = [
        [
            run.test.run,
            str(run.seed),
            "-" if run.dev is None else _percent(run.dev.wer),
            _percent(run.test.wer),
            _percent(run.test.cer),
            str(timedelta(seconds=round(run.test.train_seconds))),
        ]
        for model in comparison.models
        for run in model.runs
    ]
    commands = "".join(f"    {run.test.command}\n" for model in comparison.models for run in model.runs)
    heads = ["run", "seed", "dev WER %", "test WER %", "test CER %", "training"]
    return f"## Runs\n\n{table(heads, rows)}\nTheir commands, in the same order:\n\n{commands}"


def _epochs(model: ModelSummary) -> float:
    return sum(run.epochs for run in model.runs) / len(model.runs)


def _millions(model: ModelSummary) -> str:
    return "-" if model.multiply_adds_per_second is None else f"{model.multiply_adds_per_second / 1e6:.1f}"


def _estimate(wer: Estimate) -> str:
    return _percent(wer.mean) + ("" if wer.deviation is None else f" ± {_percent(wer.deviation)}")


def _interval(wer: Estimate) -> str:
    return f"{_percent(wer.low)} - {_percent(wer.high)}"


def _spread(spread: Spread | None, decimals: int) -> str:
    if spread is None:
        return "-"
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.{decimals}f}"
    return f"{spread.mean:.{decimals}f}{deviation}"


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
