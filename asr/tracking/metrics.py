"""Metrics of a run as JSON lines in its folder: the record from which everything else can be made again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from asr.common.errors import RunError
from asr.common.files import atomic_write
from asr.scoring.error_rates import UtteranceScore

Row = dict[str, Any]

AXES = ("step", "epoch", "seconds")
"""Numbers that every row of metrics.jsonl has."""


def read_metrics(folder: Path) -> list[Row]:
    """The rows of a run folder's metrics.jsonl, none where there is no such file.

    A last line without its end (the process was killed while writing it) isn't a row yet and is left out.

    Raises:
        RunError: A line is not a JSON object.
    """
    return read_rows(metrics_path(folder), AXES)


def read_rows(path: Path, numbers: Sequence[str] = ("step",)) -> list[Row]:
    """The rows of a file of JSON lines, none where there is no such file; as of `read_metrics`.

    Args:
        numbers: Keys that every row has, each with a number.

    Raises:
        RunError: A line is not a JSON object.
    """
    if not path.exists():
        return []
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): mend it, or set training.restart=true.") from None
    return [_parse(path, number, line, numbers) for number, line in enumerate(lines, start=1)]


def last_row(folder: Path) -> Row:
    """The newest row of a run folder's metrics.jsonl.

    Raises:
        RunError: There is none, or a line is not a JSON object.
    """
    rows = read_metrics(folder)
    if not rows:
        raise RunError(f"{metrics_path(folder)} holds no metrics: train again with training.restart=true.")
    return rows[-1]


def metrics_path(folder: Path) -> Path:
    """Where the metrics of a run lie."""
    return folder / "metrics.jsonl"


class RowsFile:
    """metrics.jsonl or its like, open for appending after it was cut back to where training takes up again.

    Args:
        path: The file.
        step: Rows of later steps are dropped; 0 drops all, as training then begins anew.

    Raises:
        RunError: The file can't be read back.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.rows = [row for row in read_rows(path) if 0 < row["step"] <= step]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = self._cut() if path.exists() else None

    def append(self, row: Row) -> None:
        """Writes a row, which survives the death of the process."""
        self._file = self._file or self._cut()
        self._file.write(_line(row))
        self._file.flush()
        self.rows.append(row)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _cut(self) -> TextIO:
        replace_text(self._path, "".join(map(_line, self.rows)))
        return self._path.open("a", encoding="utf-8")


def replace_text(path: Path, text: str) -> None:
    """Writes a file, so that it is never seen half written."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _parse(path: Path, number: int, line: bytes, numbers: Sequence[str]) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not all(isinstance(row.get(key), int | float) for key in numbers):
        raise RunError(
            f"Line {number} of {path} is not a row of metrics: mend it, or start over with training.restart=true."
        )
    return row


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
