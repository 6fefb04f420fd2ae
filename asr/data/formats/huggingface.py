"""Folders that Hugging Face's `datasets` wrote with `save_to_disk`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr.common.errors import ConfigError, DataError
from asr.common.files import file_name
from asr.common.optional import optional
from asr.data.formats.rows import Row, split_of
from asr.data.formats.table import COLUMNS

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
        raise DataError(f"{source} cannot be read as a dataset ({type(error).__name__}: {error}).") from None
    parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {None: loaded}
    rows: dict[str | None, list[Row]] = {}
    for name, part in parts.items():
        split = None if name is None else split_of(str(name))
        if name is not None and split is None:
            raise DataError(f"{source}: the split {name!r} is not named after train, dev or test: rename or remove it.")
        rows.setdefault(split, []).extend(_rows(part, columns, source, audio / (name or ""), datasets))
    return rows


def _rows(part: Any, columns: Mapping[str, str], source: Path, audio: Path, datasets: Any) -> Iterator[Row]:
    names = {role: columns.get(role) or _usual(role, part.column_names) for role in ROLES}
    for role, name in names.items():
        if (role in columns and name not in part.column_names) or (name is None and role in ("audio", "text")):
            raise ConfigError(
                f"{source} has the columns {', '.join(part.column_names)}: say which is the {role}, as in "
                f"data.columns={{{role}: NAME}}."
            )
    if isinstance(part.features[names["audio"]], datasets.Audio):
        part = part.cast_column(names["audio"], datasets.Audio(decode=False))
    for number, item in enumerate(part):
        value = item[names["audio"]]
        written = value if isinstance(value, str) else value.get("path") or ""
        content = None if isinstance(value, str) else value.get("bytes")
        name = str(item[names["id"]]) if names["id"] else Path(written).stem or f"{number:08d}"
        path = Path(written)
        if content is not None:
            suffix = path.suffix or MAGIC.get(content[:4], ".mp3")
            path = audio / f"{file_name(name)}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        speaker = item[names["speaker"]] if names["speaker"] else ""
        yield Row(path, item[names["text"]] or "", "" if speaker is None else str(speaker), name)


def _usual(role: str, names: list[str]) -> str | None:
    return next((name for name in COLUMNS[role] if name in names), None)
