"""Corpus archives: found on a mirror or downloaded from the publisher, and unpacked once."""

import errno
import hashlib
import http.client
import io
import logging
import lzma
import os
import shutil
import tarfile
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from asr.common.errors import DataError
from asr.common.files import atomic_folder, atomic_write
from asr.common.progress import Progress
from asr.settings.recipe import SHIPPED

log = logging.getLogger(__name__)

DEFAULT_MIRRORS = os.pathsep.join(("corpora", "../shared/corpora"))
CONNECTION_SECONDS = 10.0
MEGABYTE = 1 << 20
AR_HEADER = 60
"""Bytes before each member of an ar archive."""
COMPRESSED = (b"\x1f\x8b\x08", b"BZh", b"\xfd7z", b"\x5d\0\0")
"""The begin of archives that tarfile decompresses."""
MOST_ZEROS = 1 << 16
"""Bytes at the end of a compressed archive."""
LONG_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
)  # fmt: skip
"""Members that tarfile reads into memory, whatever size they state."""
MALFORMED = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL)
"""Errors of the file system that the names of an archive's members cause."""
DEEPEST = 100
"""Folders within folders."""
LONGEST_REASON = 500
"""Characters; names of members have thousands."""
ANY_CHECKSUM = "ASR_ANY_CHECKSUM"
"""Environment variable that allows mirrors whose archives are not the publisher's."""


class ArchiveMissing(DataError):
    """An archive that is on no mirror and cannot be downloaded."""


def mirrors() -> list[Path]:
    """The folders searched for archives: ASR_MIRRORS, a search path whose relative parts start at the checkout."""
    return [SHIPPED / part for part in os.environ.get("ASR_MIRRORS", DEFAULT_MIRRORS).split(os.pathsep) if part]


def fetch_archive(name: str, folder: Path, url: str | None = None, sha256: str | Sequence[str] | None = None) -> Path:
    """Finds an archive on a mirror or among earlier downloads, else downloads it from its publisher.

    Args:
        name: File name under which the publisher offers the archive.
        folder: Where downloads are kept.
        url: The publisher's address; None where the archive is not offered for download.
        sha256: Checksum of the publisher's file, and of repacked ones that are known to have the same content. Where
            one is given, a file on a mirror must have it too, unless the environment variable ASR_ANY_CHECKSUM is set.

    Raises:
        ArchiveMissing: It cannot be found or downloaded; says where to put it.
        DataError: A file on a mirror has another checksum.
    """
    known = (sha256,) if isinstance(sha256, str) else tuple(sha256 or ())
    for place in (*mirrors(), folder):
        if (place / name).is_file():
            _compare_checksum(place / name, known)
            return place / name
    remedy = f"put {name} into {folder} or into a folder named by ASR_MIRRORS"
    if url is None:
        raise ArchiveMissing(f"The archive {name} is on no mirror and not offered for download: {remedy}.")
    try:
        return _download(url, folder / name, known)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ArchiveMissing(
            f"The archive {name} is on no mirror and {url} cannot be downloaded ({reason}): {remedy}."
        ) from None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks the files and folders of a tar archive, atomically; does nothing where the folder exists.

    A link to a file of the archive becomes a copy of that file. Other links, devices and pipes are left out, since they
    can lead outside the folder.

    Raises:
        DataError: The archive is damaged, is no tar archive, has members that reach outside the folder, or is larger
            than the disk.
    """
    if folder.is_dir():
        return folder
    log.info("Unpacking %s", archive)
    with _damage_in(archive), atomic_folder(folder) as content, _opened(archive) as tar:
        _extract(tar, content)
        # tarfile takes damage for the end of the archive; reading on lets the decompressor compare its checksum.
        while tar.fileobj is not None and tar.fileobj.read(MEGABYTE):
            pass
    return folder


def unpack_deb(package: Path, folder: Path) -> Path:
    """Unpacks the files and folders of a Debian package as `unpack` does; does nothing where the folder exists.

    A package is an `ar` archive whose member data.tar.* holds the files (deb(5)).

    Raises:
        DataError: As `unpack` does, or it is not a Debian package.
    """
    if folder.is_dir():
        return folder
    log.info("Unpacking %s", package)
    with _damage_in(package), package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise tarfile.ReadError("it is no ar archive")
        while header := file.read(AR_HEADER):
            name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
            if not 0 <= size <= package.stat().st_size:
                raise tarfile.ReadError(f"its member {name!r} has {size} bytes")
            if name.startswith("data.tar"):
                break
            file.seek(size + size % 2, os.SEEK_CUR)
        else:
            raise tarfile.ReadError("it has no data.tar")
        content = file.read(size)
        if len(content) < size:
            raise tarfile.ReadError(f"it ends after {len(content)} of {size} bytes")
        with atomic_folder(folder) as place, _opened(io.BytesIO(content)) as tar:
            _extract(tar, place)
    return folder


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        member = super().frombuf(buf, encoding, errors)
        if member.type in LONG_HEADERS and member.size > MEGABYTE:
            raise tarfile.ReadError(f"it has a header of {member.size} bytes")
        return member


def _opened(archive: Path | IO[bytes]) -> tarfile.TarFile:
    """An archive as tarfile opens it, unless it goes on with zeros, as a download that was broken off does where the
    file was made in its full size. Decompressors take minutes over those, byte by byte."""
    with archive.open("rb") if isinstance(archive, Path) else nullcontext(archive) as file:
        compressed = file.read(3) in COMPRESSED
        file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_ZEROS))
        end = file.read()
        if compressed and len(end) == MOST_ZEROS and not any(end):
            raise tarfile.ReadError("it ends in zeros, as if it was not fetched whole")
        file.seek(0)
    name, file_object = (archive, None) if isinstance(archive, Path) else (None, archive)
    return tarfile.open(name, fileobj=file_object, tarinfo=_Member)


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    """Writes regular files and folders. Not by tarfile's own extraction, whose filters links can pass on Pythons
    without the fix of CVE-2025-4517."""
    links: dict[Path, Path | None] = {}
    left_out, last = 0, -1
    for member in tar:
        if member.size < 0 or member.offset <= last:
            raise tarfile.ReadError(f"its member {member.name!r} has {member.size} bytes")
        last = member.offset
        path = _within(folder, member.name)
        if path is None:
            raise tarfile.ReadError(f"its member {member.name!r} reaches outside the folder")
        if len(path.parts) - len(folder.parts) > DEEPEST:  # folders are made, and removed, recursively
            raise tarfile.ReadError(f"its member {member.name!r} is in more than {DEEPEST} folders")
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.isfile() and path != folder:
            free = shutil.disk_usage(folder).free
            if member.size > free:
                raise tarfile.ReadError(f"its member {member.name!r} has {member.size} bytes, and {free} are free")
            path.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None, "a regular file has a content"
            with path.open("wb") as file:
                shutil.copyfileobj(content, file, MEGABYTE)
            os.utime(path, (max(0, int(member.mtime)),) * 2)
        elif member.issym() or member.islnk():
            above = Path(member.name).parent if member.issym() else Path()
            links[path] = _within(folder, str(above / member.linkname))
        else:
            left_out += 1
    for path, target in _ends(links).items():
        if target is None or not target.is_file() or path.exists():
            left_out += 1
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target, path)
    if left_out:
        log.info("Left out of it: %d links to nothing within it, or special files.", left_out)


def _within(folder: Path, name: str) -> Path | None:
    """Where a member of this name belongs, None if that is outside the folder."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return None if name.startswith("/") or "\0" in name else folder.joinpath(*parts)


def _ends(links: Mapping[Path, Path | None]) -> dict[Path, Path | None]:
    """Where each link leads in the end, through others; None for links that lead to each other."""
    ends: dict[Path, Path | None] = {}
    for path in links:
        passed: dict[Path, None] = {}
        place: Path | None = path
        while place is not None and place in links and place not in ends and place not in passed:
            passed[place] = None
            place = links[place]
        end = None if place is None or place in passed else ends.get(place, place)
        ends |= dict.fromkeys(passed, end)
    return ends


@contextmanager
def _damage_in(archive: Path) -> Iterator[None]:
    """Names the archive in an error of a decompressor or of tarfile, and the member in one of the file system."""
    if not archive.is_file():  # a pipe would block
        raise _unusable(archive, "there is no such file")
    try:
        yield
    except OSError as error:
        # bz2 reports damage as an OSError without a number; a full or closed disk is none of the archive.
        if error.errno is not None and error.errno not in MALFORMED:
            raise
        raise _unusable(archive, error) from None
    except (tarfile.TarError, EOFError, ValueError, OverflowError, MemoryError, lzma.LZMAError, zlib.error) as error:
        raise _unusable(archive, error) from None


def _unusable(archive: Path, error: Exception | str) -> DataError:
    reason = " ".join(str(error).split())  # tarfile's has a line for each compression that it tried
    shown = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
    return DataError(f"The archive {archive} cannot be unpacked ({shown}): delete it and fetch it again.")


def _compare_checksum(archive: Path, known: Sequence[str]) -> None:
    if not known:
        return
    with archive.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    if checksum in known:
        return
    if os.environ.get(ANY_CHECKSUM):
        log.warning("%s is not the publisher's: its SHA-256 is %s.", archive, checksum)
        return
    raise DataError(
        f"{archive} is not the publisher's: its SHA-256 is {checksum}, not {known[0]}; delete it, or set "
        f"{ANY_CHECKSUM}=1 if you trust its origin."
    )


def _download(url: str, path: Path, known: Sequence[str]) -> Path:
    with atomic_write(path) as part:
        with urllib.request.urlopen(url, timeout=CONNECTION_SECONDS) as response, part.open("wb") as file:
            size = int(response.headers.get("Content-Length") or 0)
            checksum = _copy(response, file, size, f"Downloading {path.name}")
        if size and part.stat().st_size != size:
            raise OSError(f"the connection ended after {part.stat().st_size} of {size} bytes")
        if known and checksum not in known:
            raise OSError(f"its SHA-256 is {checksum}, not the publisher's {known[0]}")
    return path


def _copy(source: IO[bytes], target: IO[bytes], size: int, description: str) -> str:
    digest = hashlib.sha256()
    with Progress(description, size / MEGABYTE, "MB") as progress:
        while block := source.read(MEGABYTE):
            target.write(block)
            digest.update(block)
            progress.advance(len(block) / MEGABYTE)
    return digest.hexdigest()
