"""JSON and YAML that a stranger may have written: only regular files are opened, and size and depth are bounded."""

import dataclasses
import errno
import json
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

MOST_BYTES = 1 << 28
"""Of a JSON file: the largest are lexicons and training curves."""
MOST_YAML_BYTES = 1 << 18
"""Of settings, which the YAML reader takes seconds for."""
MOST_LEVELS = 32
"""Of groups within groups."""


def read_bytes(path: Path, most: int | None = MOST_BYTES) -> bytes:
    """The content of a regular file. Pipes and devices are not opened: they could block for ever, or never end.

    Raises:
        OSError: There is no such file, it cannot be read, or it is not a regular file.
        ValueError: It is larger than `most` bytes; None allows any size.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        content = file.read(None if most is None else most + 1)
    if most is not None and len(content) > most:
        raise ValueError(f"it is larger than {most / 2**20:g} MiB")
    return content


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The content of a regular file in UTF-8; raises as `read_bytes` does, and a ValueError where it is not UTF-8."""
    return read_bytes(path, most).decode("utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        OSError: There is no such file, it cannot be read, or it is not a regular file.
        ValueError: It is too large or too deep, or holds no object.
    """
    return json_object(read_text(path))


def json_object(text: str) -> dict[str, Any]:
    """The object in a JSON text, such as a line of a file.

    Raises:
        ValueError: It is too deep, or no object.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it holds no object of keys and values")
    _check_values(value)
    return value


AnyValue = TypeVar("AnyValue")


def from_json(kind: type[AnyValue], value: Any) -> AnyValue:
    """A value of JSON as the dataclass, list, mapping, enum or plain value that was written. Keys that a dataclass does
    not have are ignored.

    Raises:
        KeyError: A key of a dataclass is missing.
        TypeError: A value is of another type.
        ValueError: A value is none of an enum.
    """
    converted: AnyValue = _from_json(kind, value)
    return converted


def _from_json(kind: Any, value: Any) -> Any:
    parts, origin = get_args(kind), get_origin(kind)
    if NoneType in parts:
        return None if value is None else _from_json(parts[0], value)
    if dataclasses.is_dataclass(kind):
        _require_type(value, dict, "an object")
        missing = [field.name for field in dataclasses.fields(kind) if _is_required(field) and field.name not in value]
        if missing:
            raise KeyError(missing[0])
        hints = get_type_hints(kind).items()
        return cast(type, kind)(**{name: _from_json(part, value[name]) for name, part in hints if name in value})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if origin is list:
        _require_type(value, list, "a list")
        return [_from_json(parts[0], item) for item in value]
    if origin is dict:
        _require_type(value, dict, "an object")
        return {name: _from_json(parts[1], item) for name, item in value.items()}
    if kind is not bool and isinstance(value, bool):
        raise TypeError(f"{value} stands where {kind.__name__} belongs")
    _require_type(value, int | float if kind is float else kind, kind.__name__)
    return value


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _require_type(value: Any, kind: Any, name: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{str(value)[:40]!r} stands where {name} belongs")


def read_yaml(path: Path) -> str:
    """The text of a YAML file of plain settings, which whatever reads YAML may then read.

    Raises:
        OSError: There is no such file, it cannot be read, or it is not a regular file.
        ValueError: It is too large or too deep, is no mapping, or has aliases, anchors, tags or interpolations.
        YAMLError: It is no YAML.
    """
    text = read_text(path, MOST_YAML_BYTES)
    levels, first = 0, None
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError(f"{place} has an anchor or an alias, which settings do not need")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"{place} has the tag {event.tag}, which settings do not need")
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            raise ValueError(f"{place} has an interpolation (${{), which saved settings do not need")
        first = first or (event if isinstance(event, yaml.NodeEvent) else None)
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > MOST_LEVELS:
            raise ValueError(f"{place} is nested too deeply")
    if not isinstance(first, yaml.MappingStartEvent):
        raise ValueError("it holds no keys")
    return text


def _check_values(value: Any) -> None:
    """Refuses values that are nested too deeply, and text that cannot be written as UTF-8."""
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        level = [item for outer in level for item in _items(outer)]
        if not level:
            return
    raise ValueError("its values are nested too deeply")


def _items(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str) and not value.isascii():
        value.encode()
