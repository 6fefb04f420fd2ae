"""The utterance: one stretch of audio with its transcript."""

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from asr.common.errors import DataError


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of a manifest, with field names that other toolkits share."""

    id: str
    """Unique within a corpus."""
    audio_filepath: Path
    """Absolute once read from a manifest, which stores it relative to its own folder."""
    offset: float
    """Where the utterance begins in the file, in seconds."""
    duration: float
    """Length in seconds."""
    text: str
    """The transcript."""
    speaker: str
    """Who speaks; empty where unknown."""
    sampling_rate: int
    """Samples per second of the file."""

    @property
    def samples(self) -> int:
        """Length in samples."""
        return round(self.duration * self.sampling_rate)

    @property
    def place(self) -> str:
        """Its id and file, with which messages about it begin."""
        return f"Utterance {self.id} ({self.audio_filepath})"


@dataclass(frozen=True, slots=True)
class OneChannel(Utterance):
    """An utterance in one channel of a file with several: manifests cannot express it, and conversion extracts it."""

    channel: int
    """Counted from 0."""


FIELDS = {field.name: field.type for field in fields(Utterance)}
NUMBERS = ("offset", "duration", "sampling_rate")
LIMIT = 1e9
"""All numbers of a line are below it."""


def parse_line(line: bytes, path: Path, number: int) -> Utterance:
    """The utterance of a line of a manifest, to whose folder the audio's path is relative; numbers count from 1.

    Raises:
        DataError: It is not an utterance; names the line and the field.
    """
    place = f"{path}, line {number}"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise DataError(f"{place}: not a JSON object.")
    missing = [name for name in FIELDS if name not in row]
    if missing:
        raise DataError(f"{place}: the field {missing[0]!r} is missing; a line has {', '.join(FIELDS)}.")
    for name in FIELDS:
        value = row[name]
        if name in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise DataError(f"{place}: {name!r} must be a number, not {value!r}.")
        if name not in NUMBERS and not isinstance(value, str):
            raise DataError(f"{place}: {name!r} must be a string, not {value!r}.")
        if isinstance(value, str) and not _is_whole(value):
            raise DataError(
                f"{place}: {name!r} contains an incomplete character, {value!r}: write names and texts in UTF-8."
            )
    if not (0 < row["duration"] < LIMIT and 0 <= row["offset"] < LIMIT and 0 < row["sampling_rate"] < LIMIT):
        raise DataError(
            f"{place}: duration and sampling_rate must be above 0, offset not below, and all less than 1e9."
        )
    return utterance_of(row, str(path.parent.absolute()))


def parse_known(line: bytes, folder: str) -> Utterance:
    """The utterance of a line that is known to be valid, of a manifest in an absolute folder."""
    return utterance_of(json.loads(line), folder)


def utterance_of(row: dict[str, Any], folder: str) -> Utterance:
    """The utterance with a line's fields and an absolute path."""
    path = row["audio_filepath"]
    row["audio_filepath"] = Path(os.path.normpath(f"{folder}/{path}" if path[:1] != "/" else path))
    return Utterance(**{name: row[name] for name in FIELDS})


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
