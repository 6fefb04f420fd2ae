"""The utterance, one stretch of audio with its transcript, and sequences of utterances that are read lazily.

A corpus of millions is arrays of numbers and positions in files, which can be used wherever a sequence of utterances is
expected. Durations and keys, which batch planning needs of all utterances, are arrays.
"""

import json
import os
from abc import abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError
from asr.common.seeds import Keys, keys_of

Extra = tuple[tuple[str, str | int | float | bool], ...]
"""Names and values."""


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
    extra: Extra = field(default=(), kw_only=True)
    """Further fields of its line, such as sex, accent or device, in their order: results are told by them."""

    @property
    def samples(self) -> int:
        """Length in samples."""
        return round(self.duration * self.sampling_rate)

    def row(self, audio: str) -> dict[str, Any]:
        """Its line of a manifest, with another path of its audio, but without its further fields."""
        row = asdict(self) | {"audio_filepath": audio}
        del row["extra"]
        return row

    @property
    def place(self) -> str:
        """Its id and file, with which messages about it begin."""
        return f"Utterance {self.id} ({self.audio_filepath})"


@dataclass(frozen=True, slots=True)
class OneChannel(Utterance):
    """An utterance in one channel of a file with several: manifests cannot express it, and conversion extracts it."""

    channel: int
    """Counted from 0."""


FIELDS = {one.name: one.type for one in fields(Utterance) if one.name != "extra"}
NUMBERS = ("offset", "duration", "sampling_rate")
LIMIT = 1e9
"""All numbers of a line are below it."""
LONGEST_LINE = 2**20
"""Bytes of a line; a transcript of a day has fewer."""


def parse_line(line: bytes, path: Path, number: int) -> Utterance:
    """The utterance of a line of a manifest, to whose folder the audio's path is relative; numbers count from 1.

    Raises:
        DataError: It is not an utterance; names the line and the field.
    """
    place = f"{path}, line {number}"
    reason = "another value"
    if len(line) > LONGEST_LINE:
        raise DataError(f"{place}: it has more than {LONGEST_LINE:,} bytes: correct or remove the line.")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        row, reason = None, str(error)
    if not isinstance(row, dict):
        raise DataError(f"{place}: not a JSON object ({reason}): correct or remove the line.")
    missing = [name for name in FIELDS if name not in row]
    if missing:
        raise DataError(f"{place}: the field {missing[0]!r} is missing; a line has {', '.join(FIELDS)}.")
    for name in FIELDS:
        value = row[name]
        if name in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise DataError(f"{place}: {name!r} must be a number, not {value!r}.")
        if name not in NUMBERS and not isinstance(value, str):
            raise DataError(f"{place}: {name!r} must be a string, not {value!r}.")
        if isinstance(value, str) and (fault := text_fault(name, value)):
            raise DataError(f"{place}: {name!r} {fault}: correct or remove the line.")
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
    extra = extra_of(row) if len(row) > len(FIELDS) else ()
    return Utterance(**{name: row[name] for name in FIELDS}, extra=extra)


def extra_of(row: Mapping[str, Any], others: Container[str | None] = ()) -> Extra:
    """The fields of a row that are no fields of an utterance, nor others: texts, numbers and truth values; empty ones
    are left out."""
    return tuple(
        (name, value)
        for name, value in row.items()
        if name not in FIELDS
        and name not in others
        and isinstance(value, str | int | float)
        and value != ""
        and (is_whole(f"{name}{value}") if isinstance(value, str) else is_whole(name) and abs(value) < LIMIT**2)
    )


def text_fault(name: str, value: str) -> str | None:
    """What is wrong with a text in a field of an utterance, which a manifest cannot hold; None where nothing is."""
    if not is_whole(value):
        return f"contains an incomplete character, {quoted(value)}, and texts are in UTF-8"
    if "\0" in value and name != "text":
        return f"has the character NUL, {quoted(value)}, which no name has"
    return None


def quoted(text: str) -> str:
    """The beginning of a text, in quotes."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def is_whole(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which UTF-8 cannot express."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Seconds = npt.NDArray[np.float64]


class LazyUtterances(Sequence[Utterance]):
    """Utterances that are read when they are accessed."""

    @property
    @abstractmethod
    def seconds(self) -> Seconds:
        """Durations (s), shape (utterances,)."""

    @property
    @abstractmethod
    def keys(self) -> Keys:
        """Keys of the ids, as `keys_of` makes them, shape (utterances,)."""

    @abstractmethod
    def read(self, number: int) -> Utterance:
        """The utterance with a number, counted from 0."""

    @overload
    def __getitem__(self, number: int) -> Utterance: ...

    @overload
    def __getitem__(self, number: slice) -> list[Utterance]: ...

    def __getitem__(self, number: int | slice) -> Utterance | list[Utterance]:
        if isinstance(number, slice):
            return [self.read(one) for one in range(*number.indices(len(self)))]
        number = int(number)
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        return self.read(number % len(self))

    def __iter__(self) -> Iterator[Utterance]:
        return map(self.read, range(len(self)))


class Joined(LazyUtterances):
    """Several sequences, concatenated."""

    def __init__(self, parts: Sequence[Sequence[Utterance]]) -> None:
        self.parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def seconds(self) -> Seconds:
        return np.concatenate([seconds_of(part) for part in self.parts])

    @property
    def keys(self) -> Keys:
        return np.concatenate([id_keys(part) for part in self.parts])

    def read(self, number: int) -> Utterance:
        place = int(np.searchsorted(self._ends, number, "right"))
        return self.parts[place][number - int(self._ends[place]) + len(self.parts[place])]


class Picked(LazyUtterances):
    """Utterances of a sequence by their numbers, in any order and also repeated."""

    def __init__(self, utterances: Sequence[Utterance], numbers: npt.NDArray[np.int64]) -> None:
        self.utterances, self.numbers = utterances, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def seconds(self) -> Seconds:
        return seconds_of(self.utterances)[self.numbers]

    @property
    def keys(self) -> Keys:
        return id_keys(self.utterances)[self.numbers]

    def read(self, number: int) -> Utterance:
        return self.utterances[int(self.numbers[number])]


class Field(Sequence[str]):
    """One field of all utterances, read when it is accessed."""

    def __init__(self, utterances: Sequence[Utterance], name: str) -> None:
        self.utterances, self.name = utterances, name

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [getattr(one, self.name) for one in self.utterances[number]]
        return getattr(self.utterances[number], self.name)

    def __iter__(self) -> Iterator[str]:
        return (getattr(one, self.name) for one in self.utterances)


def joined(parts: Sequence[Sequence[Utterance]]) -> Sequence[Utterance]:
    """Several sequences as one: a list, unless one of them is lazy."""
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, LazyUtterances) for part in parts):
        return Joined(parts)
    return [utterance for part in parts for utterance in part]


def seconds_of(utterances: Sequence[Utterance]) -> Seconds:
    """Durations (s), shape (utterances,)."""
    if isinstance(utterances, LazyUtterances):
        return utterances.seconds
    return np.array([utterance.duration for utterance in utterances], dtype=np.float64)


def id_keys(utterances: Sequence[Utterance]) -> Keys:
    """Keys of the ids, shape (utterances,)."""
    if isinstance(utterances, LazyUtterances):
        return utterances.keys
    return keys_of([utterance.id for utterance in utterances])
