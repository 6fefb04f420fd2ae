"""Paths of audio: found below folders, and what is wrong with one that was written elsewhere."""

import fnmatch
import logging
import os
import re
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path, PureWindowsPath

from asr.common.errors import DataError, listed
from asr.data.utterance import is_whole

log = logging.getLogger(__name__)

AUDIO = frozenset((".wav", ".flac", ".sph", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"))
"""Endings of the files that a corpus is read from: libsndfile decodes them."""
MEDIA = AUDIO | {
    ".oga", ".aifc", ".snd", ".caf", ".rf64", ".wve",
    ".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mov", ".avi", ".amr", ".3gp",
}  # fmt: skip
"""Endings of the files that are transcribed: FFmpeg, where it is installed, decodes the rest."""

LEFTOVERS = (
    "._*", ".ds_store", ".appledouble", ".trash*", ".spotlight-v100", ".fseventsd", ".temporaryitems", "__macosx",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
    "@eadir", "#recycle", "#snapshot", ".snapshot", ".nfs*", "lost+found",
)  # fmt: skip
"""Names, in lower case, of what macOS, Windows, storage servers and file systems leave in folders."""
_LEFTOVER = re.compile("|".join(map(fnmatch.translate, LEFTOVERS)))

_ADDRESS = re.compile(r"(?:^|/)([A-Za-z][A-Za-z0-9+.-]+):/")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name was left by an operating system or a storage server."""
    return _LEFTOVER.match(name.lower()) is not None


def entries(folder: Path, *endings: str) -> list[Path]:
    """What a folder holds itself, sorted, without leftovers; with endings, in lower case, only names that end so.

    Nothing where there is no such folder.
    """
    return [Path(entry.path) for entry in _scan(folder, endings)] if folder.is_dir() else []


def audio_below(folder: Path, kinds: Collection[str] = AUDIO) -> Iterator[Path]:
    """The audio files below a folder, as `files_below` finds them."""
    return (path for path in files_below(folder) if path.suffix.lower() in kinds)


def files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder, found lazily; links are followed, leftovers left out.

    A link to a folder that is walked anyway, or that leads back to where the walk came from, is not followed, so that
    each folder is walked once. A link to nowhere counts as a file. The log names both.

    Raises:
        DataError: A folder cannot be read.
    """
    root = os.path.realpath(folder)
    walked: set[str] = set()
    waiting = deque([(folder, root)])
    repeated: list[Path] = []
    broken: list[Path] = []
    while waiting:
        here, real = waiting.popleft()
        if real in walked:
            repeated.append(here)
            continue
        walked.add(real)
        for entry in _scan(here):
            path, is_link = Path(entry.path), entry.is_symlink()
            if not (path if is_link else entry).is_dir():  # of a link to itself, the entry raises
                if is_link and not is_there(path):
                    broken.append(path)
                yield path
                continue
            target = os.path.realpath(path) if is_link else f"{real}/{entry.name}"
            if is_link and (_contains(root, target) or _contains(target, root)):
                repeated.append(path)
            else:
                waiting.append((path, target))
    if repeated:
        log.warning(
            "%s has %d links to folders that are read anyway, which are not followed: %s.",
            folder, len(repeated), listed(repeated),
        )  # fmt: skip
    if broken:
        log.warning("%s has %d links to files that do not exist: %s.", folder, len(broken), listed(broken))


def _scan(folder: Path, endings: tuple[str, ...] = ()) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            wanted = (entry for entry in found if not endings or entry.name.lower().endswith(endings))
            kept = sorted((entry for entry in wanted if not is_leftover(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"The folder {folder} cannot be read ({error.strerror}): allow it, or move it elsewhere."
        ) from None
    if special := [entry.name for entry in kept if _is_special(entry)]:
        log.warning("%s has pipes, sockets or devices, which are not read: %s.", folder, listed(special))
        kept = [entry for entry in kept if entry.name not in special]
    return kept


def _is_special(entry: "os.DirEntry[str]") -> bool:
    """Whether it is neither a file nor a folder, nor a link that leads nowhere: reading a pipe may never end."""
    try:
        return not (entry.is_file() or entry.is_dir() or (entry.is_symlink() and not is_there(Path(entry.path))))
    except OSError:  # a link to itself
        return False


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_there(path: Path) -> bool:
    """Whether there is a file or folder; not where no file system can have such a name."""
    try:
        return path.exists()
    except OSError:
        return False


def for_libsndfile(path: Path) -> str | bytes:
    """A path as soundfile takes it: a name that is not UTF-8 as the bytes that it is."""
    return str(path) if is_whole(str(path)) else os.fsencode(path)


def foreign(written: str) -> str | None:
    """What is wrong with a path that cannot be one of this machine, and what to write; None where it can."""
    address = _ADDRESS.search(written)
    if address is not None and address[1].lower() == "file":
        return "is an address: write the path without file://"
    if address is not None:
        return "is an address, but audio is read from files: download it and write its path"
    if _DRIVE.match(written):
        return "is a path of Windows: write the path that the file has on this machine"
    if "\\" in written:
        return f"has backslashes, as paths of Windows do: write {PureWindowsPath(written).as_posix()}"
    if "\0" in written or not is_whole(written):
        return "contains a character that no path has: correct it"
    return None
