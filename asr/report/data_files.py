"""The files of a report: scripts that contain data, since a page opened from disk cannot fetch other files."""

import json
import math
from hashlib import sha256
from pathlib import Path
from typing import Any

from asr.common.files import atomic_write


def write_data(report: Path, name: str, value: Any) -> None:
    """Writes data/NAME.js, which passes a value to the page under its name.

    Numbers that are not finite become null. The text is safe in HTML and with any encoding error.
    """
    try:
        text = _compact(value)
    except ValueError:  # a number that is not finite
        text = _compact(_finite(value))
    # Lone surrogates, as in undecodable file names, become escapes that JSON knows too.
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    write_whole(report / "data" / f"{name}.js", f"report.receive({json.dumps(name)},{text});\n")


def write_whole(path: Path, text: str) -> None:
    """Writes a file atomically, so that the page never reads half of it; leaves it alone if nothing changed."""
    content = text.encode("utf-8", errors="backslashreplace")
    if path.exists() and path.read_bytes() == content:
        return
    with atomic_write(path, durable=False) as file:
        file.write_bytes(content)


def short_hash(*parts: str) -> str:
    """A short name that identifies the texts."""
    return sha256("\0".join(parts).encode("utf-8", errors="backslashreplace")).hexdigest()[:10]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
