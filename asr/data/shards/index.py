"""The index of shards: which bytes of which tar file are the audio of an utterance, memory-mapped.

`shards.json` names the index by its checksum, so that readers know whether their copy is current.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError
from asr.common.files import atomic_write_text
from asr.common.seeds import key_of
from asr.data.columns import Columns, write_columns
from asr.data.utterance import Utterance

DESCRIPTION = "shards.json"
KINDS = {"keys": np.uint64, "begins": np.int64, "sizes": np.int64, "checksums": np.uint32}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the audio of an utterance is."""

    row: int
    """Of the index."""
    shard: str
    begin: int
    size: int
    checksum: int
    """CRC-32 of the bytes."""


class ShardIndex:
    """Finds utterances in shards.

    Raises:
        ValueError: The file is damaged, or of another kind.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.columns = Columns(path)
        try:
            self.shards: dict[str, int] = self.columns.description["shards"]
        except KeyError:
            raise ValueError("it is not an index of shards") from None
        self._names = list(self.shards)
        self._keys = self.columns["keys"]

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.columns.path,)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, utterance: Utterance) -> Place | None:
        """The place of an utterance; None where no shard has it as its manifest describes it."""
        key = np.uint64(audio_key(utterance))
        row = int(np.searchsorted(self._keys, key))
        if row == len(self._keys) or self._keys[row] != key:
            return None
        shard, *numbers = (int(self.columns[name][row]) for name in ("shards", "begins", "sizes", "checksums"))
        return Place(row, self._names[shard], *numbers)

    def begin_in_cache(self, place: Place) -> int:
        """Where its bytes would begin if all audio were in one file, in the order of the index."""
        return int(self.columns["ends"][place.row]) - place.size


def audio_key(utterance: Utterance) -> int:
    """A key of an utterance and its segment of audio: it changes with the offset and the duration."""
    return key_of(json.dumps([utterance.id, utterance.offset, utterance.duration, utterance.sampling_rate]))


def write_index(folder: Path, shards: dict[str, int], parts: Sequence[Columns]) -> Path:
    """Writes the index of shards, given with their sizes in bytes, and shards.json, which names it.

    Raises:
        DataError: Two utterances would be the same.
    """
    arrays: dict[str, npt.NDArray[Any]] = {name: np.concatenate([part[name] for part in parts]) for name in KINDS}
    arrays["shards"] = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part["keys"]) for part in parts])
    order = np.argsort(arrays["keys"], kind="stable")
    arrays = {name: column[order] for name, column in arrays.items()}
    if (arrays["keys"][1:] == arrays["keys"][:-1]).any():
        raise DataError("An id is in two splits with the same offset and duration: ids of a corpus must differ.")
    # Keys are random, so any first part of the bytes belongs to utterances from the whole corpus.
    arrays["ends"] = np.cumsum(arrays["sizes"])
    path = folder / "shards.index"
    write_columns(path, {"shards": shards}, arrays)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    named = path.replace(folder / f"shards-{digest[:16]}.index")
    description = {"index": named.name, "sha256": digest, "utterances": len(order), "shards": len(shards)}
    atomic_write_text(folder / DESCRIPTION, json.dumps(description, indent=1) + "\n")
    for other in folder.glob("shards-*.index"):
        if other != named:
            other.unlink()
    return named


def contents_of(folder: Path) -> Iterator[tuple[str, int, dict[str, npt.NDArray[Any]]]]:
    """What the index in a folder says of each shard: its name, its size in bytes and its rows; nothing without one."""
    try:
        columns = Columns(folder / str(json.loads((folder / DESCRIPTION).read_text())["index"]))
        shards: dict[str, int] = columns.description["shards"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    order = np.argsort(columns["shards"], kind="stable")
    ends = np.searchsorted(columns["shards"][order], np.arange(len(shards)), "right").tolist()
    for (name, size), begin, end in zip(shards.items(), [0, *ends], ends, strict=False):
        yield name, size, {kind: columns[kind][order[begin:end]] for kind in KINDS}
