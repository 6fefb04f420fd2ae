"""NeMo's manifests: JSON lines with audio_filepath, text, and optionally duration and offset."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from asr.common.errors import DataError
from asr.common.files import lines_of
from asr.data.audio_paths import entries
from asr.data.formats.rows import Place, Row, audio_path, label, number, read_by_split, real_folders, split_of
from asr.data.formats.table import COLUMNS
from asr.data.utterance import Utterance, extra_of

SUFFIXES = (".json", ".jsonl")
AUDIO_FOLDER = "metadata.jsonl"
"""The same by Hugging Face's AudioFolder, with other names for audio and text, perhaps in a folder for each split."""
LOOKED_AT = 20
"""Lines by which a file of another kind is told from a manifest, of which some may be broken."""


def matches(source: Path) -> bool:
    """Whether it is such a file or a folder with some."""
    return bool(_files(source))


def read(source: Path) -> dict[str | None, list[Row]]:
    """Reads a manifest, or each of a folder as the split that it, or its folder, is named after.

    Raises:
        DataError: A line is not a JSON object with audio and text, or files are not named after splits.
    """
    files = _files(source) or candidates(source)
    empty = [path for path in candidates(source) if split_of(path.name) and path.stat().st_size == 0]
    return read_by_split([*files, *(path for path in empty if path not in files)], _rows, source)


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = []
    others = real_folders(path)
    audio_names, text_names = _names(path)
    for line_number, line in lines_of(path):
        place = Place(str(path), line_number)
        row = _object(line, place, len(rows))
        named = [next((name for name in names if name in row), None) for names in (audio_names, text_names)]
        audio, text = (None if name is None else row[name] for name in named)
        if not isinstance(audio, str) or not isinstance(text, str):
            raise DataError(
                f"{place}: expected the strings {audio_names[0]} and {text_names[0]}; {len(rows)} rows were read "
                "before it: correct or remove the line."
            )
        rows.append(
            Row(
                audio_path(audio, path.parent, place, others),
                text,
                label(row.get("speaker"), "the speaker", place) or "",
                offset=number(row.get("offset"), "the offset", place) or 0.0,
                duration=number(row.get("duration"), "the duration", place),
                place=place,
                name=label(row.get("id"), "the id", place),
                extra=extra_of(row, named),
            )
        )
    return rows


def _names(path: Path) -> tuple[Sequence[str], Sequence[str]]:
    """The names that the fields of audio and text have in a file."""
    if path.name == AUDIO_FOLDER:
        return ("file_name", "audio_filepath"), COLUMNS["text"]
    return ("audio_filepath",), ("text",)


def candidates(source: Path) -> list[Path]:
    """The files of a source that are read as manifests where the user says that they are."""
    return [source] if source.is_file() else entries(source, *SUFFIXES)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() in SUFFIXES and _is_manifest(source, "") else []
    if files := [path for path in entries(source, *SUFFIXES) if _is_manifest(path, "{")]:
        return files
    within = (entries(folder, AUDIO_FOLDER) for folder in entries(source) if split_of(folder.name))
    return [path for paths in within for path in paths if _is_manifest(path, "{")]


def _is_manifest(path: Path, start: str) -> bool:
    """Whether one of the first lines, some of which may be broken, starts so and names audio."""
    names = [f'"{name}"' for name in _names(path)[0]]
    lines = (line.lstrip("[ ") for _, line in islice(lines_of(path), LOOKED_AT))
    return any(line.startswith(start) and name in line for line in lines for name in names)


def _object(line: str, place: Place, rows: int) -> dict[str, Any]:
    reason = "not an object"
    try:
        row = json.loads(line)
        if isinstance(row, dict):
            return row
    except ValueError as error:
        reason = str(error)
    except RecursionError:
        reason = "too deep"
    if line.startswith("["):
        raise DataError(
            f"{place}: the file is an array of objects, and each object must be a line: write them without brackets "
            "and commas between them."
        )
    raise DataError(
        f"{place}: expected a JSON object, whole in this line ({reason}); {rows} rows were read before it: correct or "
        "remove the line."
    )


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
                    **dict(utterance.extra),
                }
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
