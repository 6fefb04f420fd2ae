"""Folders that Hugging Face's `datasets` wrote with `save_to_disk`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr.common.documents import read_json
from asr.common.errors import ConfigError, DataError
from asr.common.files import file_name
from asr.common.optional import optional
from asr.data.formats.rows import Place, Row, audio_path, split_of
from asr.data.formats.table import COLUMNS
from asr.data.utterance import extra_of

ROLES = ("audio", "text", "speaker", "id")
"""Roles of columns; an utterance is a whole item, and the splits are those of the dataset."""
MARKS = ("dataset_dict.json", "dataset_info.json")
MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"NIST": ".sph"}


def matches(source: Path) -> bool:
    """Whether it is such a folder."""
    return any((source / mark).is_file() for mark in MARKS)


def read(source: Path, columns: Mapping[str, str], audio: Path) -> dict[str | None, list[Row]]:
    """Reads a dataset, or several splits; audio inside the dataset is written to files unchanged.

    Columns are named by role, where their names are not common ones.

    Raises:
        ConfigError: `datasets` is not installed, or there is no audio or text column.
        DataError: The folder cannot be read, or a split has another name.
    """
    datasets = optional("datasets", "huggingface")
    try:
        loaded = datasets.load_from_disk(str(source))
    except Exception as error:  # pyarrow and datasets have errors of their own for a damaged folder
        if empty := [state.parent.name for state in sorted(source.glob("*/state.json")) if _is_empty(state)]:
            raise DataError(
                f"{source}: the split {empty[0]!r} has no row, and is not read for that: remove its folder, and its "
                "name in dataset_dict.json."
            ) from None
        raise DataError(f"{source} cannot be read as a dataset ({type(error).__name__}: {error}).") from None
    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {None: loaded}
    rows: dict[str | None, list[Row]] = {}
    for name, part in parts.items():
        split = None if name is None else split_of(str(name))
        if name is not None and split is None:
            raise DataError(f"{source}: the split {name!r} is not named after train, dev or test: rename or remove it.")
        label = str(name or "")
        rows.setdefault(split, []).extend(_rows(part, label, columns, source, audio / label, datasets))
    return rows


def _is_empty(state: Path) -> bool:
    """Whether a split has no files of rows."""
    try:
        return read_json(state).get("_data_files") == []
    except (OSError, ValueError):
        return False


def _rows(part: Any, split: str, columns: Mapping[str, str], source: Path, audio: Path, datasets: Any) -> Iterator[Row]:
    """The rows of a split, which may have no name; audio inside it is written into a folder."""
    names = {role: columns.get(role) or _usual(role, part.column_names) for role in ROLES}
    for role, name in names.items():
        if (role in columns and name not in part.column_names) or (name is None and role in ("audio", "text")):
            raise ConfigError(
                f"{source} has the columns {', '.join(part.column_names)}: say which is the {role}, as in "
                f"data.columns.{role}=NAME."
            )
    if isinstance(part.features[names["audio"]], datasets.Audio):
        part = part.cast_column(names["audio"], datasets.Audio(decode=False))
    classes = {name: kind for name, kind in part.features.items() if isinstance(kind, datasets.ClassLabel)}
    where = f"{source}, {split}" if split else str(source)
    taken: set[str] = set()
    for number, item in enumerate(part):
        place = Place(where, number, "row")
        written, content = _path_and_bytes(item[names["audio"]], place)
        text, speaker, given = (item[names[role]] if names[role] else None for role in ("text", "speaker", "id"))
        if not isinstance(text, str | None):
            raise DataError(f"{place}: its text is {text!r}, not a string: name another column in data.columns.")
        stem = Path(written).stem if given is None else str(given)
        name, alternative = stem or f"{number:08d}", "-".join(filter(None, (split, f"{number:08d}", stem)))
        if content is None:
            path = audio_path(written, Path.cwd(), place)
        else:
            file = file_name(name if file_name(name).casefold() not in taken else alternative)
            taken.add(file.casefold())
            path = audio / f"{file}{Path(written).suffix or MAGIC.get(content[:4], '.mp3')}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        told = {name: item[name] for name in classes if item[name] not in (None, -1)}
        labels = {name: classes[name].int2str(told[name]) if name in told else None for name in classes}
        extra = extra_of(item | labels, names.values())
        row = Row(path, text or "", "" if speaker is None else str(speaker), place=place, extra=extra)
        # Ids that nobody chose may be counted in each split, or be those of sentences that several people read.
        yield replace(row, id=name) if "id" in columns else replace(row, name=name, alternative=alternative)


def _path_and_bytes(value: Any, place: Place) -> tuple[str, bytes | None]:
    """The path of audio, which may be empty where there are bytes, and its bytes, where the dataset has them."""
    if isinstance(value, dict):
        written, content = value.get("path") or "", value.get("bytes")
    else:
        written, content = (value, None) if isinstance(value, str) else ("", value)
    if not (isinstance(content, bytes) or (content is None and written)):
        raise DataError(f"{place}: it has no audio, neither a path nor the bytes of a file: remove the row.")
    return written, content


def _usual(role: str, names: list[str]) -> str | None:
    return next((name for name in COLUMNS[role] if name in names), None)
