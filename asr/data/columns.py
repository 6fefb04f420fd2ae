"""Columns of numbers in one memory-mapped file: opened instantly, however long, and shared by all processes.

The file begins with the length of a description as a 64-bit number, then the description as JSON, then each column at a
multiple of 64 bytes.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from asr.common.files import atomic_write

ALIGNMENT = 64
LENGTH = struct.Struct("<q")
MOST_DESCRIPTION = 1 << 30
"""Bytes; a longer description means that the file is of another kind."""


class Columns:
    """Reads the columns of a file, by name.

    Raises:
        ValueError: The file is truncated, or of another kind.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            head = file.read(LENGTH.size)
            length = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else -1
            if not 0 <= length < MOST_DESCRIPTION:
                raise ValueError("it is not a file of columns")
            self.description: dict[str, Any] = json.loads(file.read(length))
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        place = _aligned(LENGTH.size + length)
        for name, kind, count in self.description["columns"]:
            kind = np.dtype(kind)
            end = place + kind.itemsize * count
            if end > path.stat().st_size:
                raise ValueError("it is truncated")
            mapped = np.memmap(path, kind, "r", place, (count,)) if count else np.zeros(0, kind)
            self._arrays[name] = np.asarray(mapped)  # np.memmap itself is slower to index
            place = _aligned(end)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._arrays[name]

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)


def write_columns(path: Path, description: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes columns, atomically, and a description: further JSON values, under other names than "columns"."""
    kinds = [[name, column.dtype.str, len(column)] for name, column in columns.items()]
    text = json.dumps({**description, "columns": kinds}).encode()
    with atomic_write(path) as beside, beside.open("wb") as file:
        file.write(LENGTH.pack(len(text)) + text)
        for column in columns.values():
            file.write(bytes(_aligned(file.tell()) - file.tell()))
            file.write(np.ascontiguousarray(column).data)


def _aligned(place: int) -> int:
    return -(-place // ALIGNMENT) * ALIGNMENT
