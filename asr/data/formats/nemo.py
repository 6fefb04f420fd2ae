"""NeMo's manifests: JSON lines with audio_filepath, text, and optionally duration and offset."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr.common.errors import DataError
from asr.common.files import lines_of
from asr.data.formats.rows import Row, audio_path, number, read_by_split
from asr.data.utterance import Utterance

SUFFIXES = (".json", ".jsonl")


def matches(source: Path) -> bool:
    """Whether it is such a file or a folder with some."""
    return bool(_files(source))


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads a manifest, or each of a folder as the split that it is named after.

    Raises:
        DataError: A line is not a JSON object with audio and text, or files are not named after splits.
    """
    return read_by_split(_files(source), _rows, source)


def _rows(path: Path) -> list[Row]:
    rows = []
    for place, line in lines_of(path):
        row = _object(line)
        where = f"{path}, line {place}"
        if row is None or not isinstance(row.get("audio_filepath"), str) or not isinstance(row.get("text"), str):
            raise DataError(f"{where}: expected a JSON object with the strings audio_filepath and text.")
        rows.append(
            Row(
                audio_path(row["audio_filepath"], path.parent),
                row["text"],
                str(row.get("speaker") or ""),
                str(row["id"]) if row.get("id") is not None else None,
                number(row.get("offset"), "the offset", where) or 0.0,
                number(row.get("duration"), "the duration", where),
            )
        )
    return rows


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix in SUFFIXES and _is_manifest(source) else []
    return sorted(path for path in source.glob("*.json*") if path.suffix in SUFFIXES and _is_manifest(path))


def _is_manifest(path: Path) -> bool:
    row = _object(next(iter(lines_of(path)), (0, ""))[1])
    return row is not None and "audio_filepath" in row


def _object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def export(splits: Mapping[str, Sequence[Utterance]], folder: Path) -> None:
    """Writes SPLIT.json with absolute audio paths; NeMo ignores fields that it does not know."""
    for split, utterances in splits.items():
        with (folder / f"{split}.json").open("w", encoding="utf-8") as lines:
            for utterance in utterances:
                row = {
                    "audio_filepath": str(utterance.audio_filepath),
                    "offset": utterance.offset,
                    "duration": utterance.duration,
                    "text": utterance.text,
                    "speaker": utterance.speaker,
                    "id": utterance.id,
                }
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
