"""Files and folders, written atomically, by one process at a time and so that they survive a power cut, and users'
text, read whatever its encoding and line ends."""

import codecs
import fcntl
import gzip
import hashlib
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from asr.common.errors import ConfigError, DataError, RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# It can only be read by setting it: once, while there are no threads.
UMASK = os.umask(0o077)
os.umask(UMASK)


def make_folder(folder: Path) -> None:
    """Makes a folder, and those above it, unless it is there.

    Raises:
        ConfigError: None can be made at this path.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # the program itself makes those above it
        raise ConfigError(f"The folder {folder} cannot be made: choose another path.") from None


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to fill, which replaces `folder` when the block ends without an error."""
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        content = Path(temporary) / folder.name
        content.mkdir()
        yield content
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        content.rename(folder)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Makes a folder to fill; where the block fails, a folder that was not there or was empty is as it was before."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    empty = not missing and folder.is_dir() and not any(folder.iterdir())
    try:
        make_folder(folder)
        yield
    except BaseException:
        if missing or empty:
            for path in folder.iterdir() if folder.is_dir() else ():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        with suppress(OSError):  # another process has used one
            for path in missing:
                path.rmdir()
        raise


@contextmanager
def atomic_write(path: Path, durable: bool = True) -> Iterator[Path]:
    """Gives a path to write to, with the suffix of the file, which becomes the file when the block ends without an
    error: whole, and with the permissions of the umask, whatever library wrote it. The folder is made.

    Args:
        durable: Waits until it is on disk. Not for files that are many and can be made again.
    """
    make_folder(path.parent)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield beside
        if durable:
            sync(beside)
        with suppress(PermissionError):  # some mounts have no permissions
            beside.chmod(0o666 & ~UMASK)
        beside.replace(path)
    except OSError as error:
        if error.filename == str(beside):
            error.filename = str(path)  # which the user knows
        raise
    finally:
        with suppress(OSError):  # a name that is too long is told by what was to write it
            beside.unlink(missing_ok=True)


def atomic_write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8, so that nobody reads half of it."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


def require_own(folder: Path) -> None:
    """Makes sure that what is written below a folder, which a stranger may have handed over, stays in it, and that no
    file there can block: it has no pipes, and no links that lead out or nowhere. What W&B keeps there is not looked at.

    Raises:
        RunError: It has; names the first.
    """
    whole = folder.resolve()
    for root, folders, files in os.walk(whole):
        for path in (Path(root, name) for name in (*folders, *files)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(whole):
                raise RunError(
                    f"{path} is a link out of the folder, and only the folder itself is written: put a file or folder "
                    "in its place."
                )
            if not path.is_file() and not path.is_dir():
                raise RunError(f"{path} is neither a file nor a folder: remove it.")
        folders[:] = [name for name in folders if name != "wandb"]


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


LONGEST_NAME = 220
"""Bytes of the name of a file that is made of an id; file systems allow 255 with the ending and what goes before it
while the file is written."""


def shortened_name(id: str) -> str:
    """An id as a part of a file name: what no name has is replaced, and the end of a long one is left out."""
    return id.replace("/", "-").replace("\0", "-").encode()[:LONGEST_NAME].decode(errors="ignore")


def file_name(id: str) -> str:
    """A file name for an utterance; ids of which only parts can stand in a name get different ones."""
    name = shortened_name(id)
    return id if name == id else f"{name}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def sync(path: Path) -> None:
    """Waits until a file, or the listing of a folder, is on disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


GZIP = b"\x1f\x8b"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte order marks; that of UTF-8 is optional."""


def read_text(path: Path) -> str:
    """A whole text file, with \\n as its line end and without a byte order mark.

    Raises:
        DataError: As `lines_of`.
    """
    return "".join(line for _, line in _all_lines(path))


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, without their ends, with their numbers.

    Raises:
        DataError: The file cannot be read, or is not in UTF-8, nor in UTF-16 with a byte order mark.
    """
    return ((number, line.rstrip("\n")) for number, line in _all_lines(path) if line.strip())


def decoded_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """All lines of a stream of bytes, as standard input, with their ends and numbers.

    Raises:
        DataError: As `lines_of`.
    """
    number = 0
    try:
        buffered = BufferedReader(cast(BufferedReader, stream))
        if buffered.peek(2).startswith(GZIP):
            buffered = BufferedReader(cast(BufferedReader, gzip.GzipFile(fileobj=buffered)))
        encoding = "utf-16" if buffered.peek(2).startswith(UTF_16) else "utf-8-sig"
        for number, line in enumerate(TextIOWrapper(buffered, encoding), start=1):
            if "\0" in line:
                raise DataError(
                    f"{name}, line {number}: it has a NUL character, so it is no text, or in UTF-16 without a byte "
                    "order mark: save it in UTF-8."
                )
            yield number, line
    except UnicodeDecodeError as error:
        before: str = error.object[: error.start].decode(error.encoding, "replace")
        place = number + 1 + before.count("\n")
        raise DataError(f"{name} is not in UTF-8 ({error.reason} in line {place}): save it in UTF-8.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is gzipped, but damaged ({error}): replace it.") from None


def _all_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as stream:
            yield from decoded_lines(stream, str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): correct the path, or allow to read it.") from None


def save_picture(figure: "Figure", path: Path) -> Path:
    """Writes a figure as .svg, with reproducible bytes, and as .png, whose path it returns."""
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)
    return path.with_suffix(".png")


def expanded(written: str | Path) -> Path:
    """A path where `~` is a home, if there is such a user."""
    try:
        return Path(written).expanduser()
    except RuntimeError:
        return Path(written)
