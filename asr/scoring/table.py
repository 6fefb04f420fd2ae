"""Results as a table on the console."""

from collections.abc import Sequence
from datetime import timedelta

from asr.scoring.results import Results

HEADINGS = (
    "recipe",
    "run",
    "split",
    "decoder",
    "WER %",
    "95 % interval",
    "CER %",
    "sub",
    "del",
    "ins",
    "utterances",
    "training",
    "parameters",
)
LEFT = 4  # the first columns are names, the others numbers


def results_table(results: Sequence[Results]) -> str:
    """A line for each of the results under a line of headings; rates in per cent, training time as h:mm:ss."""
    rows = [HEADINGS, *(_row(result) for result in results)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(results: Results) -> tuple[str, ...]:
    return (
        results.recipe,
        results.run,
        results.split,
        results.decoder,
        f"{results.wer * 100:.2f}",
        f"{results.wer_low * 100:.2f} - {results.wer_high * 100:.2f}",
        f"{results.cer * 100:.2f}",
        str(results.substitutions),
        str(results.deletions),
        str(results.insertions),
        str(results.utterances),
        str(timedelta(seconds=round(results.train_seconds))),
        f"{results.parameters / 1e6:.2f} M",
    )
