"""Which files a stretch of code opens."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_watching: list[tuple[str, list[str]]] = []
_hooks: list[object] = []


@contextmanager
def opened_below(folder: Path) -> Iterator[list[str]]:
    """Gives a list of the files below a folder that are opened, each as often as it is."""
    if not _hooks:  # one cannot be removed
        _hooks.append(sys.addaudithook(_note))
    found: list[str] = []
    _watching.append((f"{folder}{os.sep}", found))
    try:
        yield found
    finally:
        _watching.pop()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watching and isinstance(arguments[0], str | os.PathLike):
        path = os.fspath(arguments[0])
        for begin, found in _watching:
            if isinstance(path, str) and os.path.abspath(path).startswith(begin):  # noqa: PTH100
                found.append(path)
