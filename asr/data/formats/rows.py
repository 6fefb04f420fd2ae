"""Rows: what each format says about an utterance, and how rows become utterances."""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from asr.common.errors import DataError
from asr.common.processes import map_blocks
from asr.data.splits import SPLITS
from asr.data.utterance import OneChannel, Utterance

ROUNDING_SECONDS = 0.011
"""Durations that differ from the file's by less were rounded, as to milliseconds or frames."""

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "valid", "validation", "val", "cv"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""Names of the splits in other toolkits and corpora."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a source says about one utterance; None is read from the file."""

    audio: Path
    text: str
    speaker: str = ""
    id: str | None = None
    offset: float = 0.0
    """Where the utterance begins in the file (s)."""
    duration: float | None = None
    """In seconds; None is to the end of the file."""
    channel: int | None = None
    """The channel, counted from 0; None where the source names none."""


Rows = Mapping[str | None, Sequence[Row]]
"""The rows of each split; None holds those whose split the source does not say."""


def split_of(name: str) -> str | None:
    """The split that a file, a folder or a label is named after, as dev for cuts_validation.jsonl, else None."""
    found = {SPLIT_NAMES[word] for word in re.split("[^a-z]+", name.lower()) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def read_by_split(
    files: Sequence[Path], read: Callable[[Path], Sequence[Row]], source: Path
) -> dict[str | None, list[Row]]:
    """Reads files that are a split each, or a single file with everything, which were found in a source.

    Raises:
        DataError: One of several files is not named after a split.
    """
    splits = {file: split_of(file.name) for file in files}
    if len(files) > 1 and None in splits.values():
        odd = next(file for file, split in splits.items() if split is None)
        raise DataError(
            f"{source} has {len(files)} files of one kind, and {odd.name} is not named after one of "
            f"{', '.join(SPLITS)}: set data.source to a single file, or name each after its split."
        )
    rows: dict[str | None, list[Row]] = {}
    for file, split in splits.items():
        rows.setdefault(split, []).extend(read(file))
    return rows


def utterances_of(rows: Rows, root: Path) -> dict[str | None, list[Utterance]]:
    """Reads the headers of all files, in parallel, and gives each utterance a unique id.

    Where file names are not unique, ids are made from the path below the root.

    Raises:
        DataError: A file is missing or not audio, or two rows have the same id.
    """
    flat = [(split, row) for split, part in rows.items() for row in part]
    ids = _ids([row for _, row in flat], root)
    named = [replace(row, id=name) for (_, row), name in zip(flat, ids, strict=True)]
    utterances: dict[str | None, list[Utterance]] = {split: [] for split in rows}
    outcomes = map_blocks(_read_headers, named, 4096, "Reading headers", "files")
    for (split, _), outcome in zip(flat, outcomes, strict=True):
        if isinstance(outcome, DataError):
            raise outcome
        utterances[split].append(outcome)
    return utterances


def _read_headers(rows: Sequence[Row]) -> list[Utterance | DataError]:
    return [_read_header(row) for row in rows]


def _read_header(row: Row) -> Utterance | DataError:
    try:
        info = soundfile.info(row.audio)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = "there is no such file" if not row.audio.exists() else f"it cannot be decoded: {error}"
        return DataError(f"The audio file {row.audio} cannot be read ({reason}): replace it or remove its line.")
    rest = info.frames / info.samplerate - row.offset
    duration = rest if row.duration is None or abs(row.duration - rest) < ROUNDING_SECONDS else row.duration
    if not duration > 0:
        return DataError(
            f"Utterance {row.id} ({row.audio}): it starts at {row.offset:g} s and lasts {duration:g} s, but the file "
            f"has {info.frames / info.samplerate:g} s: correct or remove its line."
        )
    assert row.id is not None
    if row.channel is not None and row.channel >= info.channels:
        return DataError(
            f"Utterance {row.id} ({row.audio}): its channel is {row.channel + 1}, but the file has {info.channels}: "
            "correct or remove its line."
        )
    fields = (row.id, row.audio, row.offset, duration, row.text, row.speaker, info.samplerate)
    if row.channel is not None and info.channels > 1:
        return OneChannel(*fields, row.channel)
    return Utterance(*fields)


def _ids(rows: Sequence[Row], root: Path) -> list[str]:
    """Given ids; else file names, and where those repeat, paths and offsets."""
    names = [row.id or row.audio.stem for row in rows]
    paths = [_path_id(row, root) for row in rows]
    with_offsets = [f"{path}-{round(1000 * row.offset):07d}" for path, row in zip(paths, rows, strict=True)]
    for candidates in (paths, with_offsets):
        counts = Counter(names)
        names = [
            name if row.id is not None or counts[name] == 1 else candidate
            for name, candidate, row in zip(names, candidates, rows, strict=True)
        ]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"The id {twice!r} occurs twice in {root}: ids must differ.")
    return names


def _path_id(row: Row, root: Path) -> str:
    return "-".join(Path(os.path.relpath(row.audio, root)).with_suffix("").parts).lstrip(".-")


def audio_path(written: str, folder: Path) -> Path:
    """The audio path that a source writes: absolute, or relative to the folder of the file that names it."""
    return Path(os.path.normpath(folder.absolute() / Path(written).expanduser()))


def number(value: object, what: str, place: str) -> float | None:
    """A number of seconds from a table or JSON; None for an empty value.

    Raises:
        DataError: It is not a number, or is negative.
    """
    if value is None or value == "":
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type]  # anything but a number raises
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise DataError(f"{place}: {what} is {value!r}; it must be a number of seconds.")
    return seconds
