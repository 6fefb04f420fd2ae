"""JSON and YAML that a stranger may have written: only regular files are opened, and size and depth are bounded."""

import dataclasses
import errno
import json
import stat
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from io import BufferedReader
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

if TYPE_CHECKING:
    from yaml import SafeLoader

MOST_BYTES = 1 << 28
"""Of a JSON file: the largest are lexicons and training curves."""
MOST_YAML_BYTES = 1 << 18
"""Of settings, which the YAML reader takes seconds for."""
MOST_LEVELS = 32
"""Of groups within groups."""
LARGEST = sys.float_info.max
"""Whole numbers beyond it can be neither compared with others nor printed."""


def open_bytes(path: Path) -> BufferedReader:
    """Opens a regular file. Pipes and devices are not opened: they could block for ever, or never end.

    Raises:
        OSError: There is no such file, it cannot be read, or it is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.open("rb")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: As of `open_bytes`.
        ValueError: It is larger than `most` bytes.
    """
    with open_bytes(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
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
    if not text.isascii() or "\\u" in text or text.count("{") + text.count("[") >= MOST_LEVELS:
        _check_values(value)  # most lines are shown to be harmless by their text, in a tenth of the time
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


def read_yaml(path: Path) -> dict[str, Any]:
    """The values of a YAML file of plain settings, by the rules of OmegaConf: 1e-4 is a number, a date a text.

    Raises:
        OSError: There is no such file, it cannot be read, or it is not a regular file.
        ValueError: It is too large or too deep, is no mapping, or has aliases, anchors, tags or interpolations.
        YAMLError: It is no YAML, or has a key twice.
    """
    text = read_text(path, MOST_YAML_BYTES)
    loader, levels = _yaml_loader(), 0
    for event in yaml.parse(text, Loader=loader):
        place = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError(f"{place} has an anchor or an alias, which settings do not need")
        if getattr(event, "tag", None) is not None:
            raise ValueError(f"{place} has the tag {event.tag}, which settings do not need")
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            raise ValueError(f"{place} has an interpolation (${{), which saved settings do not need")
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > MOST_LEVELS:
            raise ValueError(f"{place} is nested too deeply")
    values: Any = yaml.load(text, loader)
    if not isinstance(values, dict):
        raise ValueError("it holds no keys")
    return values


@cache
def _yaml_loader() -> "type[SafeLoader]":
    """OmegaConf's loader, with the parser in C where PyYAML has it: a tenth of the time."""
    from omegaconf._utils import get_yaml_loader  # not for every import: help is immediate

    loader: type[SafeLoader] = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return loader

    class Loader(yaml.cyaml.CParser, loader):  # type: ignore[misc]  # PyYAML has no types
        def __init__(self, stream: str) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    return Loader


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
