"""Manifests: JSON lines, one utterance a line, audio paths relative to the manifest's folder."""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from asr.data.utterance import Utterance
from asr.errors import DataError

FIELDS = {field.name: field.type for field in fields(Utterance)}
NUMBERS = ("offset", "duration", "sampling_rate")
LIMIT = 1e9
"""No number of a line reaches it."""


def read_manifest(path: Path) -> list[Utterance]:
    """Reads a manifest.

    Raises:
        DataError: The file is missing or empty, or a line is no utterance; names the line.
    """
    _require(path)
    utterances = []
    seen: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            utterance = _parse(line, path, number)
            if utterance.id in seen:
                raise DataError(f"{path}, line {number}: the id {utterance.id!r} stands there twice; ids must differ.")
            seen.add(utterance.id)
            utterances.append(utterance)
    if not utterances:
        raise DataError(f"The manifest {path} is empty: delete it and run `asr prepare RECIPE`.")
    return utterances


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Writes a manifest beside its place and renames it, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as lines:
        for utterance in utterances:
            row = asdict(utterance)
            row["audio_filepath"] = Path(os.path.relpath(utterance.audio_filepath, path.parent)).as_posix()
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    temporary.replace(path)


def manifest_checksum(path: Path) -> str:
    """SHA-256 of a manifest, in hexadecimal.

    Raises:
        DataError: The file is missing.
    """
    _require(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"No manifest at {path}: run `asr prepare RECIPE` first.")


def _parse(line: bytes, path: Path, number: int) -> Utterance:
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
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise DataError(f"{place}: {name!r} holds half a character, {value!r}: give names and texts in UTF-8.")
    if not (0 < row["duration"] < LIMIT and 0 <= row["offset"] < LIMIT and 0 < row["sampling_rate"] < LIMIT):
        raise DataError(
            f"{place}: duration and sampling_rate must be above 0, offset not below, and all less than 1e9."
        )
    row["audio_filepath"] = Path(os.path.normpath(path.parent.absolute() / row["audio_filepath"]))
    return Utterance(**{name: row[name] for name in FIELDS})
