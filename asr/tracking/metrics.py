"""The metrics of a run as JSON lines in its folder, from which everything else can be restored."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from asr.common.documents import LARGEST, json_object, read_bytes
from asr.common.errors import RunError
from asr.common.files import atomic_write_text
from asr.scoring.error_rates import UtteranceScore, unit_of

Row = dict[str, Any]

AXES = ("step", "epoch", "seconds")
"""Numbers that every row of metrics.jsonl has."""


def read_metrics(folder: Path) -> list[Row]:
    """The rows of a run folder's metrics.jsonl, none where there is no such file.

    An unfinished last line (the process was killed while writing it) is left out.

    Raises:
        RunError: A line is not a JSON object.
    """
    return read_rows(metrics_path(folder))


def read_rows(path: Path) -> list[Row]:
    """The rows of metrics.jsonl or panel.jsonl, like `read_metrics`; none where there is no such file.

    Raises:
        RunError: A line is not a row of this file.
    """
    if not path.exists():
        return []
    try:
        *lines, _ = read_bytes(path).split(b"\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path} cannot be read ({reason}): repair it, or set training.restart=true.") from None
    return [_parse(path, number, line) for number, line in enumerate(lines, start=1)]


def last_row(folder: Path) -> Row:
    """The newest row of a run folder's metrics.jsonl.

    Raises:
        RunError: There is none, or a line is not a JSON object.
    """
    rows = read_metrics(folder)
    if not rows:
        raise RunError(f"{metrics_path(folder)} has no metrics: train again with training.restart=true.")
    return rows[-1]


def metrics_path(folder: Path) -> Path:
    """The file of the metrics of a run."""
    return folder / "metrics.jsonl"


class RowsFile:
    """metrics.jsonl or panel.jsonl, open for appending, truncated to the step from which the training resumes.

    Args:
        path: The file.
        step: Rows of later steps are dropped; 0 drops all, since the training starts over.

    Raises:
        RunError: The file can't be read back.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.rows = [row for row in read_rows(path) if 0 < row["step"] <= step]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = self._truncated() if path.exists() else None

    def append(self, row: Row) -> None:
        """Writes a row that survives if the process is killed."""
        self._file = self._file or self._truncated()
        self._file.write(_line(row))
        self._file.flush()
        self.rows.append(row)

    def rewrite(self) -> None:
        """Writes all rows again, as after the file was deleted."""
        self.close()
        self._file = self._truncated() if self.rows else None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _truncated(self) -> TextIO:
        atomic_write_text(self._path, "".join(map(_line, self.rows)))
        return self._path.open("a", encoding="utf-8")


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _parse(path: Path, number: int, line: bytes) -> Row:
    fits = _is_of_panel if path.name == PANEL else _is_of_metrics
    try:
        row: Row = json_object(line.decode("utf-8"))
    except ValueError:
        row = {}
    if not fits(row):
        raise RunError(
            f"Line {number} of {path} is not a row of metrics: repair it, or start over with training.restart=true."
        )
    return row


def _is_of_metrics(row: Row) -> bool:
    return all(_is_number(row.get(axis)) for axis in AXES) and all(
        value is None or _is_number(value) for value in row.values()
    )


def _is_of_panel(row: Row) -> bool:
    utterances = row.get("utterances")
    return (
        all(_is_number(row.get(axis)) for axis in ("step", "epoch"))
        and isinstance(utterances, list)
        and all(
            isinstance(one, dict)
            and all(isinstance(one.get(key), str) for key in TEXTS)
            and _is_number(one.get("cer", one.get("wer")))
            for one in utterances
        )
    )


def _is_number(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, float) or (whole and abs(value) <= LARGEST)


PANEL = "panel.jsonl"
TEXTS = ("id", "reference", "hypothesis")
"""Of each of its utterances."""


def panel_row(step: int, epoch: int, scores: Sequence[UtteranceScore]) -> Row:
    """A line of panel.jsonl, after a number of optimizer steps and epochs."""
    keys = ("id", "reference", "hypothesis", unit_of(scores).rate, "alignment")
    utterances = [{key: getattr(score, key) for key in keys} for score in scores]
    return {"step": step, "epoch": epoch, "utterances": utterances}


def read_panel(folder: Path) -> list[Row]:
    """The lines of a run folder's panel.jsonl, none where there is no such file.

    Raises:
        RunError: A line is damaged.
    """
    return read_rows(folder / PANEL)


def as_table(rows: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    """The columns of a table of the panel, and its lines: one for each utterance and epoch."""
    lines = [(row, utterance) for row in rows for utterance in row["utterances"]]
    rate = "cer" if lines and "cer" in lines[0][1] else "wer"
    of_utterance = (*TEXTS, rate)
    table = [[row["epoch"], row["step"], *(utterance.get(key) for key in of_utterance)] for row, utterance in lines]
    return ["epoch", "step", *of_utterance], table
