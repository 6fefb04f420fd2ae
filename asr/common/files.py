"""Files and folders: written atomically, by one process at a time, and so that they survive a power cut."""

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asr.common.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# It can only be read by setting it: once, while there are no threads.
UMASK = os.umask(0o077)
os.umask(UMASK)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to fill, which replaces `folder` when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        content = Path(temporary) / folder.name
        content.mkdir()
        yield content
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        content.rename(folder)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path to write to, with the suffix of the file, which becomes the file when the block ends without an
    error: whole, on disk, and with the permissions of the umask, whatever library wrote it. The folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield beside
        sync(beside)
        beside.chmod(0o666 & ~UMASK)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, so that nobody reads half of it."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Lets one process at a time proceed; the next one waits, and may then find the work done.

    Args:
        path: The lock file, which is made with its folder, and stays.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        with suppress(FileExistsError):  # a file in its place, for which the next line has the better error
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): set paths.data to another folder.") from None
    with lock:
        try:
            # Not flock, whose locks survive in forked processes when this one is killed.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            log.info("Another process is working in %s: waiting for it.", path.parent)
            fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def file_name(id: str) -> str:
    """A file name for an utterance; ids that differ only in slashes get different ones."""
    return id if "/" not in id else f"{id.replace('/', '-')}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def sync(path: Path) -> None:
    """Waits until a file, or the listing of a folder, is on disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lines_of(path: Path) -> Iterable[tuple[int, str]]:
    """The lines of a text file in UTF-8 that are not blank, with their numbers.

    Raises:
        DataError: The file cannot be read, or not as UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for place, line in enumerate(lines, start=1):
                if line.strip():
                    yield place, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8 ({error.reason}): save it in UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None


def save_picture(figure: "Figure", path: Path) -> Path:
    """Writes a figure as .svg, with reproducible bytes, and as .png, whose path it returns."""
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)
    return path.with_suffix(".png")
