"""Ways to spoil files, each drawn at random: what stands in them, and what stands in their place."""

import os
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tools.fuzz.mutations import spoil_bytes, spoil_json, spoil_safetensors, spoil_yaml

SPARSE = 5 << 30
"""Bytes of a huge file that takes no room on the disk."""
BULKY = 300 << 20
"""The same of a kind that may be as large, and is read to its end: more takes longer than a case may."""

LARGE = 1 << 24
"""Bytes of a file that is not read to be spoiled."""


def spoil_text(draw: Random, path: Path) -> str | None:
    """Spoils what a file says, in a way that suits it; says how, or None where there is none."""
    ways: dict[str, Callable[[Random, str], tuple[str, str]]] = {
        ".json": spoil_json, ".jsonl": spoil_json, ".yaml": spoil_yaml
    }  # fmt: skip
    if path.stat().st_size > LARGE:
        return None
    if path.suffix == ".safetensors":
        try:
            said, content = spoil_safetensors(draw, path.read_bytes())
        except (struct.error, ValueError, LookupError, TypeError):  # it was spoiled before
            return None
    elif path.suffix in ways:
        try:
            said, text = ways[path.suffix](draw, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            return None
        content = text.encode(errors="surrogatepass")
    else:
        return None
    path.write_bytes(content)
    return said


def replace_file(draw: Random, path: Path, others: Sequence[Path], outside: Path, huge: int = SPARSE) -> str:
    """Puts something else in the place of a file."""
    kind = draw.choice(
        ("removed", "folder", "full folder", "pipe", "link out", "link to a folder", "link to itself", "link to zeros",
         "link to nothing", "empty", "huge", "another", "bytes", "more", "unreadable")
    )  # fmt: skip
    if path.stat().st_size > LARGE:
        kind = "removed"
    content = path.read_bytes() if kind != "removed" else b""
    if kind == "bytes":
        said, spoiled = spoil_bytes(draw, content)
        path.write_bytes(spoiled)
        return said
    if kind == "more":
        path.write_bytes(content + draw.choice((b"\0", b"\n", b"{}\n", b"null\n", content[:100], bytes(1 << 20))))
        return kind
    if kind == "unreadable":
        path.chmod(0)
        return kind
    if kind == "huge":
        os.truncate(path, BULKY if path.suffix == ".pt" else huge)  # a checkpoint is read to its end for its checksum
        return kind
    if kind == "another":
        other = draw.choice(others)
        if other != path and other.is_file() and not other.is_symlink():
            shutil.copy(other, path)
        return f"as {other.name}"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "full folder":
        path.mkdir()
        (path / path.name).write_bytes(content)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.touch()
    elif kind != "removed":
        targets = {
            "link out": outside / "kept.txt", "link to a folder": outside, "link to itself": Path(path.name),
            "link to zeros": Path("/dev/zero"), "link to nothing": outside / "new.txt",
        }  # fmt: skip
        path.symlink_to(targets[kind])
    return kind


def spoil_folder(
    draw: Random, folder: Path, outside: Path, likely: Sequence[str] = (), huge: int = SPARSE
) -> list[str]:
    """Spoils one file or several of a folder; says how.

    Args:
        likely: Endings of the names of files that are chosen more often.
        huge: Bytes of a file that becomes very large.
    """
    said = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        chosen = (
            [path for path in files if path.name.endswith(tuple(likely))] if likely and draw.random() < 0.8 else files
        )
        if not (chosen := chosen or files):
            break
        path = draw.choice(chosen)
        name = path.relative_to(folder)
        if draw.random() < 0.04 and path.parent != folder:
            shutil.rmtree(path.parent)
            if draw.random() < 0.7:
                path.parent.symlink_to(outside)
            said.append(f"{name.parent} is a link out, or removed")
            continue
        how = None
        if path.stat().st_mode & 0o777 and draw.random() < 0.75:
            how = spoil_text(draw, path)
        said.append(f"{name}: {how or replace_file(draw, path, files, outside, huge)}")
    return said


def plant(draw: Random, folder: Path, names: Sequence[str], outside: Path) -> str:
    """Puts a link or a pipe where a file may be written."""
    path = folder / draw.choice(names)
    if path.exists() or path.is_symlink() or not path.parent.is_dir():
        return "nothing is planted"
    kind = draw.choice(("link out", "link to something new", "link to a folder", "pipe", "folder"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(outside / {"link out": "kept.txt", "link to something new": "new.txt"}.get(kind, ""))
    return f"{path}: {kind}"
