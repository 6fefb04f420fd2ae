"""Manifests: JSON lines, one utterance per line, audio paths relative to the manifest's folder.

Beside a large manifest is its index, made again when the manifest changes: where each line begins, and what batch
planning needs, memory-mapped. Lines are read only when an utterance is asked for, so a process keeps none of them in
memory, and the workers that load audio share the index without copies.
"""

import hashlib
import json
import logging
import os
import re
import shlex
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.processes import map_blocks
from asr.common.seeds import Keys, key_of
from asr.data.columns import Columns, write_columns
from asr.data.utterance import LONGEST_LINE, LazyUtterances, Seconds, Utterance, parse_known, parse_line, quoted
from asr.settings.recipe import prepared_elsewhere

log = logging.getLogger(__name__)

LARGE_BYTES = 32 * 2**20
"""Size from which a manifest is read through an index of its lines: about 100,000 utterances."""


def read_manifest(path: Path) -> Sequence[Utterance]:
    """Reads a manifest; of a large one, or one that has an index, only what is asked for.

    Raises:
        DataError: The file is missing or empty, or a line is not an utterance; names the line.
    """
    _require(path)
    index = ManifestIndex.of(path)
    if index is None and path.stat().st_size >= LARGE_BYTES:
        index = _make_index(path)
    return IndexedManifest(path, index) if index is not None else _read_all(path)


def require_all(expected: int, found: int, what: str, remedy: str = "please report this") -> None:
    """Compares how many utterances, or what stands for them, there are before and after a step that loses none.

    Raises:
        DataError: The numbers differ.
    """
    if found != expected:
        raise DataError(f"There are {found:,} {what} instead of {expected:,}, and none may be lost: {remedy}.")


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> int:
    """Writes a manifest, atomically; a large one with its index. Returns the number of its lines."""
    digest, places, speakers = hashlib.sha256(), Places(array("q"), array("d"), array("Q")), set[str]()
    folder, size = path.parent, 0
    with atomic_write(path) as beside:
        with beside.open("wb") as lines:
            for utterance in utterances:
                row = utterance.row(Path(os.path.relpath(utterance.audio_filepath, folder)).as_posix())
                counted = line = _line(row)
                if utterance.extra:
                    line = _line(row | dict(utterance.extra))
                if len(line) > LONGEST_LINE:
                    raise DataError(
                        f"{quoted(utterance.place)}: its line in {path} would have {len(line):,} bytes, more than "
                        f"{LONGEST_LINE:,}: leave it out, or cut it."
                    )
                lines.write(line)
                digest.update(counted)
                places.add(size, utterance.duration, key_of(utterance.id))
                speakers.add(utterance.speaker)
                size += len(line)
        if size >= LARGE_BYTES and len(set(places.keys)) == len(places.keys):
            ManifestIndex.write(path, beside.stat(), digest.hexdigest(), places.arrays(), len(speakers - {""}))
    return len(places.begins)


def manifest_checksum(path: Path) -> str:
    """SHA-256 of a manifest, in hexadecimal, as if it had been written without the further fields of its lines, which
    concern no training.

    Raises:
        DataError: The file is missing.
    """
    _require(path)
    index = ManifestIndex.of(path)
    return _checksum(path) if index is None else index.checksum


TEXT = rb'"(?:[^"\\]|\\.)*+"'
WITH_EXTRA = re.compile(
    rb'^(\{"id": %b, "audio_filepath": %b, "offset": [^,"]+, "duration": [^,"]+, "text": %b, "speaker": %b, '
    rb'"sampling_rate": [^,"}]+), .*\}$' % (TEXT, TEXT, TEXT, TEXT)
)
"""A line with further fields as `write_manifest` writes it, and what it is without them."""


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for line in _lines(file):
            # Quotes within texts are escaped, so that this is before the last name.
            last = line.rpartition(b', "')[2]
            digest.update(line if last.startswith(b"sampling_rate") else WITH_EXTRA.sub(rb"\1}", line))
    return digest.hexdigest()


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()


def make_index(path: Path) -> None:
    """Makes the index of a manifest, whatever its size.

    Raises:
        DataError: As `read_manifest`.
        OSError: The index cannot be written.
    """
    _require(path)
    try:
        index_lines(path)
    except DataError:
        _read_all(path)  # names the line by its number in the whole file
        raise


def _make_index(path: Path) -> "ManifestIndex | None":
    try:
        make_index(path)
    except OSError as error:
        log.warning(
            "The index of %s cannot be written (%s): the whole manifest is read into memory.", path, error.strerror
        )
    return ManifestIndex.of(path)


def _read_all(path: Path) -> list[Utterance]:
    utterances = []
    seen: dict[str, int] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(_lines(lines), start=1):
            if len(line) <= LONGEST_LINE and not line.strip():
                continue
            utterance = parse_line(line, path, number)
            earlier = seen.setdefault(utterance.id, number)
            if earlier != number:
                raise DataError(
                    f"{path}, line {number}: the id {utterance.id!r} occurs twice, first in line {earlier}: ids must "
                    "differ, so remove or correct one of the lines."
                )
            utterances.append(utterance)
    if not utterances:
        raise DataError(f"The manifest {path} is empty: delete it and run `asr prepare RECIPE`.")
    return utterances


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, those without end in parts that `parse_line` refuses: memory is taken for no more."""
    return iter(lambda: file.readline(LONGEST_LINE + 1), b"")


def _require(path: Path) -> None:
    if not path.is_file():
        splits = sorted(file.stem for file in path.parent.glob("*.jsonl"))
        if {"train", "dev", "test"} <= {*splits}:
            raise DataError(
                f"There is no split {path.stem} in {path.parent}, only {', '.join(splits)}: name one of them."
            )
        elsewhere = prepared_elsewhere(path)
        there = "" if elsewhere is None else f", or set paths.data={shlex.quote(str(elsewhere))}, where it is prepared"
        raise DataError(f"No manifest at {path}: run `asr prepare RECIPE` first{there}.")


VERSION = 1
BLOCK_BYTES = 16 * 2**20
"""Of lines, which a process parses per block."""
ITERATED = 4096
"""Lines that are read per block when all of them are iterated."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Places:
    """What the index of a manifest says of its lines."""

    begins: "array[int]"
    seconds: "array[float]"
    keys: "array[int]"

    def add(self, begin: int, seconds: float, key: int) -> None:
        """Adds a line."""
        self.begins.append(begin)
        self.seconds.append(seconds)
        self.keys.append(key)

    def arrays(self) -> Arrays:
        """The columns."""
        kinds = {"begins": np.int64, "seconds": np.float64, "keys": np.uint64}
        return {name: np.array(getattr(self, name), dtype=kind) for name, kind in kinds.items()}


class ManifestIndex:
    """The index of a manifest as it was when the index was made."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.checksum: str = columns.description["sha256"]
        self.speakers: int = columns.description["speakers"]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The index of a manifest; None where there is none, or the manifest has changed."""
        try:
            columns = Columns(index_path(path))
        except (OSError, ValueError, KeyError):
            return None
        fits = columns.description.get("version") == VERSION
        return cls(columns) if fits and columns.description["state"] == _state(path.stat()) else None

    @staticmethod
    def write(path: Path, status: os.stat_result, checksum: str, arrays: Arrays, speakers: int) -> None:
        """Writes the index of a manifest: its status, SHA-256, lines and the number of known speakers."""
        description = {"version": VERSION, "state": _state(status), "sha256": checksum, "speakers": speakers}
        write_columns(index_path(path), description, arrays)


class IndexedManifest(LazyUtterances):
    """The utterances of a manifest through its index."""

    def __init__(self, path: Path, index: ManifestIndex) -> None:
        self.path, self.line_index = path, index
        self._folder = str(path.parent.absolute())
        self._begins, self._size = index.columns["begins"], index.columns.description["state"][0]
        # Kept open, so that replacing the manifest does not change what is read here.
        self._file = path.open("rb")

    def __reduce__(self) -> tuple[type[Self], tuple[Path, ManifestIndex]]:
        return type(self), (self.path, self.line_index)

    def __len__(self) -> int:
        return len(self._begins)

    @property
    def seconds(self) -> Seconds:
        return self.line_index.columns["seconds"]

    @property
    def keys(self) -> Keys:
        return self.line_index.columns["keys"]

    def read(self, number: int) -> Utterance:
        begin, end = int(self._begins[number]), self._begin(number + 1)
        # pread, because forked processes share the file and its position.
        return parse_known(os.pread(self._file.fileno(), end - begin, begin), self._folder)

    def __iter__(self) -> Iterator[Utterance]:
        for first in range(0, len(self), ITERATED):
            begin, end = self._begin(first), self._begin(min(first + ITERATED, len(self)))
            for line in os.pread(self._file.fileno(), end - begin, begin).split(b"\n"):
                if line.strip():
                    yield parse_known(line, self._folder)

    def _begin(self, number: int) -> int:
        return int(self._begins[number]) if number < len(self._begins) else int(self._size)


def index_path(path: Path) -> Path:
    """The path of a manifest's index."""
    return path.with_name(f"{path.name}.index")


def index_lines(path: Path) -> None:
    """Reads all of a manifest, on all cores, and writes its index.

    Raises:
        DataError: It is empty, a line is not an utterance, or an id occurs twice.
        OSError: The index cannot be written.
    """
    status = path.stat()
    blocks = [(path, begin, end) for begin, end in _cut(path, status.st_size)]
    parsed = map_blocks(_parse, blocks, 1, f"Indexing {path.name}", "blocks")
    names = ("begins", "seconds", "keys")
    arrays = {name: np.concatenate([part[name] for part, _ in parsed]) for name in names if parsed}
    if not parsed or not len(arrays["keys"]):
        raise DataError(f"The manifest {path} is empty: delete it and run `asr prepare RECIPE`.")
    speakers = set[int]().union(*(keys for _, keys in parsed))
    ordered = np.sort(arrays["keys"])
    if duplicates := int((ordered[1:] == ordered[:-1]).sum()):
        raise DataError(f"{path}: {duplicates} ids occur twice; ids must differ.")
    ManifestIndex.write(path, status, _checksum(path), arrays, len(speakers))


def _parse(blocks: Sequence[tuple[Path, int, int]]) -> list[tuple[Arrays, set[int]]]:
    return [_parse_block(*block) for block in blocks]


def _parse_block(path: Path, begin: int, last: int) -> tuple[Arrays, set[int]]:
    """The columns of the lines of a block, and the keys of its speakers, which are shorter to send than their names."""
    places, speakers = Places(array("q"), array("d"), array("Q")), set[str]()
    with path.open("rb") as file:
        file.seek(begin)
        for line in _lines(file):
            if line.strip():
                utterance = parse_line(line, path, 0)
                places.add(begin, utterance.duration, key_of(utterance.id))
                speakers.add(utterance.speaker)
            begin += len(line)
            if begin >= last:
                break
    return places.arrays(), {key_of(name) for name in speakers - {""}}


def _cut(path: Path, size: int) -> Iterator[tuple[int, int]]:
    """Divides a file into blocks of whole lines.

    Raises:
        DataError: One of the lines is too long.
    """
    begin = 0
    with path.open("rb") as file:
        while begin < size:
            file.seek(min(begin + BLOCK_BYTES, size))
            if len(file.readline(LONGEST_LINE + 1)) > LONGEST_LINE:
                raise DataError(f"{path}: a line has more than {LONGEST_LINE:,} bytes: correct or remove it.")
            yield begin, file.tell()
            begin = file.tell()


def _state(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns]
