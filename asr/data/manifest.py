"""Manifests: JSON lines, one utterance per line, audio paths relative to the manifest's folder."""

import hashlib
import json
import logging
import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.seeds import key_of
from asr.data.manifest_index import IndexedManifest, ManifestIndex, Places, index_lines
from asr.data.utterance import Utterance, parse_line

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


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Writes a manifest, atomically; a large one with its index."""
    digest, places, speakers = hashlib.sha256(), Places(array("q"), array("d"), array("Q")), set[str]()
    folder, size = path.parent, 0
    with atomic_write(path) as beside:
        with beside.open("wb") as lines:
            for utterance in utterances:
                row = asdict(utterance)
                row["audio_filepath"] = Path(os.path.relpath(utterance.audio_filepath, folder)).as_posix()
                line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
                lines.write(line)
                digest.update(line)
                places.add(size, utterance.duration, key_of(utterance.id))
                speakers.add(utterance.speaker)
                size += len(line)
        if size >= LARGE_BYTES and len(set(places.keys)) == len(places.keys):
            ManifestIndex.write(path, beside.stat(), digest.hexdigest(), places.arrays(), len(speakers - {""}))


def manifest_checksum(path: Path) -> str:
    """SHA-256 of a manifest, in hexadecimal.

    Raises:
        DataError: The file is missing.
    """
    _require(path)
    index = ManifestIndex.of(path)
    if index is not None:
        return index.checksum
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _make_index(path: Path) -> ManifestIndex | None:
    try:
        make_index(path)
    except OSError as error:
        log.warning(
            "The index of %s cannot be written (%s): the whole manifest is read into memory.", path, error.strerror
        )
    return ManifestIndex.of(path)


def _read_all(path: Path) -> list[Utterance]:
    utterances = []
    seen: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            utterance = parse_line(line, path, number)
            if utterance.id in seen:
                raise DataError(f"{path}, line {number}: the id {utterance.id!r} occurs twice; ids must differ.")
            seen.add(utterance.id)
            utterances.append(utterance)
    if not utterances:
        raise DataError(f"The manifest {path} is empty: delete it and run `asr prepare RECIPE`.")
    return utterances


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"No manifest at {path}: run `asr prepare RECIPE` first.")
