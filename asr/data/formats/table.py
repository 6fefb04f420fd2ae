"""Tables: CSV or TSV with named columns."""

import csv
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Self

from asr.common.errors import ConfigError, DataError, listed
from asr.common.files import lines_of
from asr.data.audio_paths import MEDIA, entries
from asr.data.formats.rows import SPLIT_NAMES, Place, Row, audio_path, number, read_by_split, real_folders, split_of
from asr.data.utterance import extra_of, quoted

log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".tsv")

COLUMNS = {
    "audio": (
        "audio", "audio_filepath", "audio_path", "audio_file", "path", "file", "filename", "file_name", "wav",
        "wav_filename", "recording", "clip",
    ),
    "text": ("text", "transcript", "transcription", "sentence", "normalized_text"),
    "speaker": ("speaker", "speaker_id", "spk", "client_id"),
    "id": ("id", "utt_id", "utterance_id"),
    "offset": ("offset", "start", "start_time"),
    "duration": ("duration",),
    "end": ("end", "end_time"),
    "split": ("split", "subset", "set"),
}  # fmt: skip
"""Names by which the role of a column is recognized where data.columns does not name it; "File name" is file_name."""

REQUIRED = ("audio", "text")


def matches(source: Path) -> bool:
    """Whether it is a table, a folder of tables, or one of folders of splits with a table each."""
    return bool(_files(source))


def read(source: Path, columns: Mapping[str, str]) -> dict[str | None, list[Row]]:
    """Reads a table, or each of several as the split that it, or its folder, is named after.

    Columns are named by role (`COLUMNS`), where their names are not common ones.

    Raises:
        ConfigError: A table has no such column.
        DataError: A line is incomplete, a quote is not closed, or the tables are not named after splits.
    """
    csv.field_size_limit(sys.maxsize)
    files = _files(source)
    if not files:
        raise DataError(f"There is no CSV or TSV table at {source}: correct the path.")
    if len(files) > 1 or files[0].parent not in (source, source.parent):
        return read_by_split(files, lambda file: [row for _, row in _rows(file, columns)], source)
    rows: dict[str | None, list[Row]] = {}
    for split, row in _rows(files[0], columns):
        rows.setdefault(split, []).append(row)
    return rows


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() in SUFFIXES else []
    if tables := entries(source, *SUFFIXES):
        return tables
    # As in Hugging Face's AudioFolder. Beside transcripts in files of their own, tables may be about other things.
    within = (entries(folder, *SUFFIXES) for folder in entries(source) if split_of(folder.name))
    return [table for table in chain.from_iterable(within) if _names_audio_and_text(table)]


def _names_audio_and_text(path: Path) -> bool:
    try:
        _, header = next(_records(path), (0, []))
    except DataError:
        return False
    names = {_plain(name) for name in header}
    return all(names.intersection(COLUMNS[role]) for role in REQUIRED)


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[str | None, Row]]:
    records = _records(path)
    header = [name.strip() for name in next(records, (0, []))[1]]
    found = {role: _column(header, role, columns, path) for role in COLUMNS}
    others = real_folders(path)
    roles = {header[place] for place in found.values() if place is not None} | {""}
    for line, values in records:
        place = Place(str(path), line)
        if len(values) != len(header):
            raise DataError(
                f"{place}: {len(values)} values for {len(header)} columns: correct the line; a value that contains the "
                "delimiter is quoted."
            )
        get = partial(_value, values, found)
        if not get("audio"):
            raise DataError(f"{place}: no audio file is named: fill the column or remove the line.")
        name = get("id") or None
        offset, duration = (
            number(get("offset"), "the offset", place) or 0.0,
            number(get("duration"), "the duration", place),
        )
        end = number(get("end"), "the end", place)
        if end is not None and end <= offset:
            raise DataError(f"{place}: it ends at {end:g} s, not after its start at {offset:g} s: correct the line.")
        row = Row(
            audio_path(get("audio"), path.parent, place, others),
            get("text"),
            get("speaker"),
            name if "id" in columns else None,
            offset=offset,
            duration=end - offset if duration is None and end is not None else duration,
            place=place,
            name=name,
            extra=extra_of(dict(zip(header, map(str.strip, values), strict=True)), roles),
        )
        yield _split(get("split"), place), row


class _Lines:
    """The lines of a file, and those that were taken since `taken` was emptied, with their numbers."""

    def __init__(self, path: Path) -> None:
        self.taken: list[tuple[int, str]] = []
        self._lines = iter(lines_of(path))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self.taken.append(next(self._lines))
        return f"{self.taken[-1][1]}\n"


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The values of each row, first those of the header, with the line in which it begins."""
    lines, is_tsv = _Lines(path), path.suffix.lower() == ".tsv"
    # In TSV quotes are ordinary characters; CSV quotes values and separates them by commas or semicolons.
    records = csv.reader(
        lines,
        delimiter="\t" if is_tsv else _delimiter(path),
        quoting=csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL,
        strict=True,
    )
    several: list[str] = []
    for rows in count(-1):
        lines.taken, values, fault = [], None, None
        try:
            values = next(records, None)
        except csv.Error as error:
            fault = "is never closed" if "end of data" in str(error) else "closes in the middle of a value"
        if not lines.taken:
            break
        begin, end = lines.taken[0][0], lines.taken[-1][0]
        if end > begin and fault is None and sum(_names_audio(line) for _, line in lines.taken) > 1:
            fault = "closes behind the name of another audio file"
        if fault is not None or values is None:
            where = f", in line {end}" if end > begin else ""
            raise DataError(
                f"{path}, line {begin}: a quote {fault}{where}; {max(0, rows)} rows were read before it: close it, or "
                "if it belongs to the text, quote the value and write it twice."
            )
        if end > begin:
            several.append(f"{begin}-{end}")
        yield begin, values
    if several:
        log.warning("%s: %d rows have quotes over several lines: %s.", path, len(several), listed(several))


def _names_audio(line: str) -> bool:
    return any(Path(value.strip('" ')).suffix.lower() in MEDIA for value in re.split("[,;|\t]", line))


def _value(values: Sequence[str], found: Mapping[str, int | None], role: str) -> str:
    index = found[role]
    return "" if index is None else values[index].strip()


def _delimiter(path: Path) -> str:
    header = next(iter(lines_of(path)), (0, ""))[1]
    return max(",;\t|", key=header.count)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _column(header: Sequence[str], role: str, columns: Mapping[str, str], path: Path) -> int | None:
    plain = [_plain(name) for name in header]
    if role in columns:
        index = header.index(columns[role]) if columns[role] in header else None
    else:
        index = next((plain.index(name) for name in COLUMNS[role] if name in plain), None)
    if index is not None and header.count(header[index]) > 1:
        raise DataError(f"{path} has the column {header[index]} twice: rename one of them.")
    if role not in columns and index is not None and plain.count(plain[index]) > 1:
        alike = [name for name, form in zip(header, plain, strict=True) if form == plain[index]]
        raise ConfigError(
            f"{path} has the columns {' and '.join(alike)}: say which is the {role}, as in data.columns.{role}=NAME."
        )
    if index is not None or (role not in columns and role not in REQUIRED):
        return index
    if not header:
        raise DataError(f"{path} is empty: give another table.")
    if header[0].startswith("sep="):
        raise DataError(f"{path} begins with {header[0]}, a line of Excel: remove it, so that the names come first.")
    if any(Path(name).suffix.lower() in MEDIA for name in header):
        raise DataError(
            f"{path} does not name its columns, since its first line is an utterance already, {', '.join(header)}: "
            "write a line with their names above it, such as audio and text."
        )
    if len(header) == 1 and role in REQUIRED:
        separators = "tabs, or name it .csv" if path.suffix.lower() == ".tsv" else "commas, semicolons, tabs or bars"
        raise DataError(
            f"{path} has a single column, {quoted(header[0])}, where audio and text are needed: separate its "
            f"columns by {separators}."
        )
    if role in columns:
        raise ConfigError(
            f"{path} has no column {columns[role]!r}, which data.columns names for {role}; it has {', '.join(header)}."
        )
    raise ConfigError(
        f"{path} has the columns {', '.join(header)}: say which is the {role}, as in data.columns.{role}=NAME; if "
        "these are not names but an utterance, write a line of names above them."
    )


def _split(label: str, place: Place) -> str | None:
    if not label:
        return None
    split = split_of(label)
    if split is None:
        raise DataError(f"{place}: the split {label!r} is none of {', '.join(SPLIT_NAMES)}: rename it.")
    return split
