"""The feature store: frames of every utterance at every speed in float32 files, memory-mapped and read without a copy.

A store is a folder: `keys.npy` and `places.npy` say where the frames of an utterance are, `store.json` describes the
parts, and each part is a file of raw float32 numbers. Everything except the parts' content is known before the first
frame is computed, so a part is done when its file exists, and an interrupted extraction resumes with the missing ones.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.common.documents import read_json
from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.seeds import keys_of

FLOAT_BYTES = 4
PART_BYTES = 16 * 2**20
"""Smallest size of a part: enough for fast reading, and little to lose when an extraction is interrupted."""
MOST_PARTS = 16384
"""Larger stores have larger parts: Linux lets a process map 65,530 files."""


@dataclass(frozen=True)
class Part:
    """A file with the frames of consecutive utterances, each at all its speeds."""

    path: Path
    first: int
    """Number of its first utterance."""
    last: int
    """Number after its last utterance."""
    bytes: int
    """Size of the complete file."""

    @property
    def complete(self) -> bool:
        """Whether the file exists and is complete."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes

    def write(self, features: Iterable[Tensor]) -> None:
        """Writes the features of its utterances at each speed, in order, (frames, dim) each, atomically.

        Raises:
            DataError: The file cannot be written, as on a full disk.
        """
        try:
            with atomic_write(self.path) as beside, beside.open("wb") as file:
                for frames in features:
                    file.write(frames.contiguous().numpy().data)
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written ({error.strerror}): make room or set paths.data to another disk, then "
                "run again; finished parts are kept."
            ) from None


def plan_store(
    folder: Path, ids: Sequence[str], speed_factors: Sequence[float], frames: npt.NDArray[np.int64], dim: int
) -> list[Part]:
    """Lays out a store and writes everything except its parts; the same arguments always give the same layout.

    Args:
        frames: Of each utterance at each speed, shape (utterances, speed_factors).

    Returns:
        The parts, complete or not.
    """
    keys = keys_of(ids)
    order = np.argsort(keys)
    if (keys[order][1:] == keys[order][:-1]).any():
        raise DataError(f"Two utterances for the feature store {folder} have the same id: ids must differ.")
    per_utterance = frames.sum(axis=1)
    begins = np.cumsum(per_utterance) - per_utterance
    part_frames = max(PART_BYTES, int(per_utterance.sum()) * dim * FLOAT_BYTES // MOST_PARTS) // (dim * FLOAT_BYTES)
    _, first, number = np.unique(begins // part_frames, return_index=True, return_inverse=True)
    sizes = np.add.reduceat(per_utterance, first)
    places = np.zeros(len(ids), _place_type(len(speed_factors)))
    places["part"] = number
    places["frames"] = frames
    places["begin"] = (begins - begins[first][number])[:, None] + np.cumsum(frames, axis=1) - frames

    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "keys.npy", lambda path: np.save(path, keys[order]))
    _save(folder / "places.npy", lambda path: np.save(path, places[order]))
    description = {
        "dim": dim,
        "speed_factors": list(speed_factors),
        "parts": [
            {"file": f"{part:05d}.f32", "frames": int(size), "first": int(start), "last": int(end)}
            for part, (size, start, end) in enumerate(zip(sizes, first, [*first[1:], len(ids)], strict=True))
        ],
    }
    _save(folder / "store.json", lambda path: path.write_text(json.dumps(description, indent=1) + "\n"))
    return _parts(folder, description)


class FeatureStore:
    """Reads a complete store. Other processes, forked or spawned, map the same memory.

    It returns views of mapped files: changing one in place changes what this process reads later.

    Raises:
        DataError: It does not exist, or a part is missing or has the wrong size.
    """

    def __init__(self, folder: Path) -> None:
        description = _describe(folder)
        self.folder = folder
        self.dim: int = description["dim"]
        self.speed_factors: list[float] = description["speed_factors"]
        self.bytes = 0
        self._parts = []
        for part in _parts(folder, description):
            if not part.complete:
                state = "truncated or overwritten" if part.path.exists() else "missing"
                raise DataError(f"{part.path} is {state}: run `asr extract RECIPE` again, which recomputes this part.")
            # torch maps without keeping the file open; slices of arrays can be sent to other processes.
            mapped = torch.from_file(str(part.path), size=part.bytes // FLOAT_BYTES, dtype=torch.float32)
            self._parts.append(mapped.view(-1, self.dim).numpy())
            self.bytes += part.bytes
        # As plain arrays, because np.memmap is slower to index.
        self._keys = np.asarray(np.load(folder / "keys.npy", mmap_mode="r"))
        self._places = np.asarray(np.load(folder / "places.npy", mmap_mode="r"))

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.folder,)

    def __len__(self) -> int:
        return len(self._keys)

    def features(self, utterance_id: str, factor: float) -> Tensor:
        """The frames of an utterance at a speed, shape (frames, dim), without a copy. Raises as `frames`."""
        part, begin, frames = self._place(utterance_id, factor)
        return torch.from_numpy(self._parts[part][begin : begin + frames])

    def frames(self, utterance_id: str, factor: float) -> int:
        """The number of frames of an utterance at a speed.

        Raises:
            DataError: The store does not have the utterance at that speed.
        """
        return self._place(utterance_id, factor)[2]

    def _place(self, utterance_id: str, factor: float) -> tuple[int, int, int]:
        key = keys_of([utterance_id])[0]
        row = int(np.searchsorted(self._keys, key))
        if row == len(self._keys) or self._keys[row] != key:
            raise DataError(f"The feature store {self.folder} does not have {utterance_id}: run `asr extract RECIPE`.")
        if factor not in self.speed_factors:
            raise DataError(
                f"The feature store {self.folder} has {utterance_id} at the speeds {self.speed_factors}, not at "
                f"{factor}: run `asr extract RECIPE` with the same augment.speed_factors."
            )
        place, speed = self._places[row], self.speed_factors.index(factor)
        return int(place["part"]), int(place["begin"][speed]), int(place["frames"][speed])


def is_complete(folder: Path) -> bool:
    """Whether there is a store with all its parts complete."""
    try:
        return all(part.complete for part in _parts(folder, _describe(folder)))
    except DataError:
        return False


def _describe(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / "store.json")
    except FileNotFoundError:
        raise DataError(f"There is no feature store at {folder}: run `asr extract RECIPE` first.") from None
    except (OSError, ValueError):
        raise DataError(f"{folder / 'store.json'} is damaged: delete {folder} and run `asr extract RECIPE`.") from None


def _parts(folder: Path, description: dict[str, Any]) -> list[Part]:
    frame_bytes = description["dim"] * FLOAT_BYTES
    return [
        Part(folder / part["file"], part["first"], part["last"], part["frames"] * frame_bytes)
        for part in description["parts"]
    ]


def _place_type(speeds: int) -> np.dtype[np.void]:
    return np.dtype([("part", np.int32), ("begin", np.int64, (speeds,)), ("frames", np.int64, (speeds,))])


def _save(path: Path, save: Callable[[Path], Any]) -> None:
    with atomic_write(path) as beside:
        save(beside)
