"""The panel: a few utterances of dev, the same after every epoch, whose hypotheses can be followed over time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr.scoring.error_rates import UtteranceScore
from asr.tracking.metrics import Row, read_rows

PANEL = "panel.jsonl"
COLUMNS = ("epoch", "step", "id", "reference", "hypothesis", "wer")


def panel_row(step: int, epoch: int, scores: Sequence[UtteranceScore]) -> Row:
    """A line of panel.jsonl.

    Args:
        step: Optimizer steps done.
        epoch: Epochs done.
        scores: The utterances of the panel.
    """
    keys = ("id", "reference", "hypothesis", "wer", "alignment")
    return {
        "step": step,
        "epoch": epoch,
        "utterances": [{key: getattr(score, key) for key in keys} for score in scores],
    }


def read_panel(folder: Path) -> list[Row]:
    """The lines of a run folder's panel.jsonl, none where there is no such file.

    Raises:
        RunError: A line is damaged.
    """
    return read_rows(folder / PANEL)


def as_table(rows: Sequence[Row]) -> list[list[Any]]:
    """One line for each utterance and epoch, as `COLUMNS` says."""
    return [
        [row["epoch"], row["step"], *(utterance[key] for key in COLUMNS[2:])]
        for row in rows
        for utterance in row["utterances"]
    ]
