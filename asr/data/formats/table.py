"""Tables: CSV or TSV with named columns."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from asr.common.errors import ConfigError, DataError
from asr.common.files import lines_of
from asr.data.formats.rows import SPLIT_NAMES, Row, audio_path, number, read_by_split, split_of

SUFFIXES = (".csv", ".tsv")

COLUMNS = {
    "audio": ("audio", "audio_filepath", "audio_path", "path", "file", "filename", "file_name", "wav", "wav_filename"),
    "text": ("text", "transcript", "transcription", "sentence", "normalized_text"),
    "speaker": ("speaker", "speaker_id", "spk", "client_id"),
    "id": ("id", "utt_id", "utterance_id"),
    "offset": ("offset", "start"),
    "duration": ("duration",),
    "split": ("split", "subset", "set"),
}
"""Names by which the role of a column is recognized where data.columns does not name it."""

REQUIRED = ("audio", "text")


def matches(source: Path) -> bool:
    """Whether it is a table or a folder of tables."""
    return bool(_files(source))


def read(source: Path, columns: Mapping[str, str]) -> dict[str | None, list[Row]]:
    """Reads a table, or each table of a folder as the split that it is named after.

    Columns are named by role (`COLUMNS`), where their names are not common ones.

    Raises:
        ConfigError: A table has no such column.
        DataError: A line is incomplete, or the tables are not named after splits.
    """
    csv.field_size_limit(sys.maxsize)
    files = _files(source)
    if len(files) > 1:
        return read_by_split(files, lambda file: [row for _, row in _rows(file, columns)], source)
    rows: dict[str | None, list[Row]] = {}
    for split, row in _rows(files[0], columns):
        rows.setdefault(split, []).append(row)
    return rows


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() in SUFFIXES else []
    return sorted(path for path in source.glob("*.?sv") if path.suffix.lower() in SUFFIXES)


def _rows(path: Path, columns: Mapping[str, str]) -> Iterable[tuple[str | None, Row]]:
    # In TSV quotes are ordinary characters; CSV quotes values and separates them by commas or semicolons.
    if path.suffix.lower() == ".tsv":
        lines = csv.reader(_texts(path), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        lines = csv.reader(_texts(path), delimiter=_delimiter(path))
    header = [name.strip() for name in next(lines, [])]
    found = {role: _column(header, role, columns, path) for role in COLUMNS}
    for values in lines:
        place = f"{path}, line {lines.line_num}"
        if len(values) != len(header):
            raise DataError(f"{place}: {len(values)} values for {len(header)} columns: correct the line.")
        get = partial(_value, values, found)
        if not get("audio"):
            raise DataError(f"{place}: no audio file is named: fill the column or remove the line.")
        yield (
            _split(get("split"), place),
            Row(
                audio_path(get("audio"), path.parent),
                get("text"),
                get("speaker"),
                get("id") or None,
                number(get("offset"), "the offset", place) or 0.0,
                number(get("duration"), "the duration", place),
            ),
        )


def _texts(path: Path) -> Iterable[str]:
    return (f"{line}\n" for _, line in lines_of(path))


def _value(values: Sequence[str], found: Mapping[str, int | None], role: str) -> str:
    index = found[role]
    return "" if index is None else values[index].strip()


def _delimiter(path: Path) -> str:
    header = next(iter(lines_of(path)), (0, ""))[1]
    return max(",;\t|", key=header.count)


def _column(header: Sequence[str], role: str, columns: Mapping[str, str], path: Path) -> int | None:
    if role in columns:
        if columns[role] not in header:
            raise ConfigError(
                f"{path} has no column {columns[role]!r}, which data.columns names for {role}; it has "
                f"{', '.join(header)}."
            )
        return header.index(columns[role])
    lower = [name.lower() for name in header]
    index = next((lower.index(name) for name in COLUMNS[role] if name in lower), None)
    if index is None and role in REQUIRED:
        raise ConfigError(
            f"{path} has the columns {', '.join(header)}: say which is the {role}, as in data.columns={{{role}: NAME}}."
        )
    return index


def _split(label: str, place: str) -> str | None:
    if not label:
        return None
    split = split_of(label)
    if split is None:
        raise DataError(f"{place}: the split {label!r} is none of {', '.join(SPLIT_NAMES)}: rename it.")
    return split
