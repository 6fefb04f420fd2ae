"""Byte ranges of files in a folder, or at any address that fsspec supports (s3://, gs://, https://, memory://)."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from asr.common.errors import MASK, ConfigError, DataError

MOST_OPEN = 256
"""Files that a process keeps open at most."""


class Ranges(Protocol):
    """Reads the files of one folder or address."""

    remote: bool

    def read(self, name: str, begin: int, size: int) -> bytes:
        """Bytes of a file; fewer where it ends earlier.

        Raises:
            DataError: They cannot be read.
        """

    def whole(self, name: str) -> bytes:
        """A whole file.

        Raises:
            DataError: It cannot be read.
        """

    def size(self, name: str) -> int:
        """Size of a file in bytes.

        Raises:
            DataError: It does not exist.
        """


class LocalRanges:
    """Files in a folder. Forked processes share open files, and read without moving their position."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: OrderedDict[str, Any] = OrderedDict()

    def __reduce__(self) -> tuple[type["LocalRanges"], tuple[Path]]:
        return type(self), (self.folder,)

    def read(self, name: str, begin: int, size: int) -> bytes:
        with self._file(name) as path:
            file = self._open.get(name)
            if file is None:
                file = self._open[name] = path.open("rb")
                if len(self._open) > MOST_OPEN:
                    self._open.popitem(last=False)[1].close()
            return os.pread(file.fileno(), size, begin)

    def whole(self, name: str) -> bytes:
        with self._file(name) as path:
            return path.read_bytes()

    def size(self, name: str) -> int:
        with self._file(name) as path:
            return path.stat().st_size

    @contextmanager
    def _file(self, name: str) -> Iterator[Path]:
        try:
            yield self.folder / name
        except OSError as error:
            raise DataError(f"{self.folder / name} cannot be read ({error.strerror})") from None


class RemoteRanges:
    """Files at an address, as fsspec takes it; a request has a timeout where the protocol's library supports it.

    Raises:
        ConfigError: The library of the protocol is not installed, or the protocol is unknown.
    """

    remote = True

    def __init__(self, address: str, timeout_seconds: float) -> None:
        self.address, self.timeout_seconds = address.rstrip("/"), timeout_seconds
        self._opened: tuple[int, Any, str] | None = None
        self._open()

    def __reduce__(self) -> tuple[type["RemoteRanges"], tuple[str, float]]:
        return type(self), (self.address, self.timeout_seconds)

    def read(self, name: str, begin: int, size: int) -> bytes:
        return bytes(self._ask(name, "cat_file", start=begin, end=begin + size))

    def whole(self, name: str) -> bytes:
        return bytes(self._ask(name, "cat_file"))

    def size(self, name: str) -> int:
        return int(self._ask(name, "info")["size"] or 0)

    def _ask(self, name: str, what: str, **options: int) -> Any:
        from fsspec.asyn import sync

        system, folder = self._open()
        path = f"{folder}/{name}"
        try:
            if system.async_impl:
                work = getattr(system, f"_{what}")
                return sync(system.loop, work, path, timeout=self.timeout_seconds, **options)
            return getattr(system, what)(path, **options)
        except Exception as error:  # each protocol's library has errors of its own
            why = " ".join(str(error).split()) or type(error).__name__
            # Some libraries name the path without the protocol, which `masked` needs.
            address, known, _ = self.address.rpartition("@")
            why = why.replace(address.rpartition("://")[2] + "@", f"{MASK}@") if known else why
            raise DataError(f"{self.address}/{name} cannot be read ({type(error).__name__}: {why[:200]})") from None

    def _open(self) -> tuple[Any, str]:
        # Connections do not survive a fork.
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                from fsspec.core import url_to_fs
            except ImportError:
                raise ConfigError(
                    "shards.source is an address, which needs fsspec: pip install 'asr[remote]' brings it."
                ) from None
            try:
                system, folder = url_to_fs(self.address, use_listings_cache=False)
            except (ImportError, ValueError) as error:
                raise ConfigError(
                    f"shards.source={self.address} cannot be read ({error}): install the library of its protocol; "
                    "'asr[remote]' brings those of s3:// and https://."
                ) from None
            self._opened = os.getpid(), system, folder.rstrip("/")
        return self._opened[1], self._opened[2]


def open_ranges(source: str, timeout_seconds: float) -> Ranges:
    """The files of a folder, or of an address with a protocol.

    Raises:
        ConfigError: The address was kept without its credentials, or as of `RemoteRanges`.
    """
    if f"://{MASK}@" in source:
        raise ConfigError(
            f"shards.source={source} has no credentials, since run folders keep none: give it with them, on the "
            "command line or in the run's config.yaml."
        )
    if "://" in source and not source.startswith("file://"):
        return RemoteRanges(source, timeout_seconds)
    return LocalRanges(Path(source.removeprefix("file://")).absolute())
