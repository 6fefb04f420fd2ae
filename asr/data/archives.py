"""Corpus archives: found on a mirror or downloaded from the publisher, and unpacked once."""

import gzip
import hashlib
import http.client
import io
import logging
import lzma
import os
import tarfile
import urllib.request
import zlib
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


class ArchiveMissing(DataError):
    """An archive that is on no mirror and cannot be downloaded."""


def mirrors() -> list[Path]:
    """The folders searched for archives: ASR_MIRRORS, a search path whose relative parts start at the checkout."""
    return [SHIPPED / part for part in os.environ.get("ASR_MIRRORS", DEFAULT_MIRRORS).split(os.pathsep) if part]


def fetch_archive(name: str, folder: Path, url: str | None = None, sha256: str | None = None) -> Path:
    """Finds an archive on a mirror or among earlier downloads, else downloads it from its publisher.

    Args:
        name: File name under which the publisher offers the archive.
        folder: Where downloads are kept.
        url: The publisher's address; None where the archive is not offered for download.
        sha256: Checksum of the publisher's file. Mirrors may hold a repacked archive and are not compared.

    Raises:
        ArchiveMissing: It cannot be found or downloaded; says where to put it.
    """
    for place in (*mirrors(), folder):
        if (place / name).is_file():
            return place / name
    remedy = f"put {name} into {folder} or into a folder named by ASR_MIRRORS"
    if url is None:
        raise ArchiveMissing(f"The archive {name} is on no mirror and not offered for download: {remedy}.")
    try:
        return _download(url, folder / name, sha256)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ArchiveMissing(
            f"The archive {name} is on no mirror and {url} cannot be downloaded ({reason}): {remedy}."
        ) from None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpacks a tar archive into a folder, atomically; does nothing where the folder exists.

    Raises:
        DataError: The archive is damaged, is no tar archive, or holds members that reach outside the folder.
    """
    if folder.is_dir():
        return folder
    log.info("Unpacking %s", archive)
    try:
        with atomic_folder(folder) as content, tarfile.open(archive) as tar:
            tar.extractall(content, filter="data")
            # tarfile takes damage for the end of the archive; reading on lets the decompressor compare its checksum.
            while tar.fileobj is not None and tar.fileobj.read(MEGABYTE):
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"The archive {archive} cannot be unpacked ({error}): delete it and fetch it again.") from None
    return folder


def unpack_deb(package: Path, folder: Path) -> Path:
    """Unpacks the files of a Debian package, as `dpkg-deb -x` does; does nothing where the folder exists.

    A package is an `ar` archive whose member data.tar.* holds the files (deb(5)).

    Raises:
        DataError: It is damaged, or not a Debian package.
    """
    if folder.is_dir():
        return folder
    log.info("Unpacking %s", package)
    try:
        with package.open("rb") as file:
            if file.read(8) != b"!<arch>\n":
                raise tarfile.ReadError("it is no ar archive")
            while header := file.read(AR_HEADER):
                name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
                if name.startswith("data.tar"):
                    break
                file.seek(size + size % 2, os.SEEK_CUR)
            else:
                raise tarfile.ReadError("it has no data.tar")
            content = file.read(size)
        if len(content) < size:
            raise tarfile.ReadError(f"it ends after {len(content)} of {size} bytes")
        with atomic_folder(folder) as place, tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extractall(place, filter="data")
    except (tarfile.TarError, ValueError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"The package {package} cannot be unpacked ({error}): delete it and fetch it again.") from None
    return folder


def _download(url: str, path: Path, sha256: str | None) -> Path:
    with atomic_write(path) as part:
        with urllib.request.urlopen(url, timeout=CONNECTION_SECONDS) as response, part.open("wb") as file:
            size = int(response.headers.get("Content-Length") or 0)
            checksum = _copy(response, file, size, f"Downloading {path.name}")
        if size and part.stat().st_size != size:
            raise OSError(f"the connection ended after {part.stat().st_size} of {size} bytes")
        if sha256 is not None and checksum != sha256:
            raise OSError(f"its SHA-256 is {checksum}, not the publisher's {sha256}")
    return path


def _copy(source: IO[bytes], target: IO[bytes], size: int, description: str) -> str:
    digest = hashlib.sha256()
    with Progress(description, -(-size // MEGABYTE), "MB") as progress:
        while block := source.read(MEGABYTE):
            target.write(block)
            digest.update(block)
            progress.advance()
    return digest.hexdigest()
