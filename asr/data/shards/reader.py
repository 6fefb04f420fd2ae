"""Audio from shards: the same samples as in the files that were packed."""

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor

from asr.common.errors import DataError, masked
from asr.common.files import atomic_write
from asr.common.seeds import key_of
from asr.data.audio import AudioFiles, decode_waveform
from asr.data.shards.index import DESCRIPTION, Place, ShardIndex
from asr.data.shards.ranges import LocalRanges, Ranges, open_ranges
from asr.data.utterance import Utterance
from asr.settings.shards import ShardsConfig


class Cache:
    """A sparse file with the cached audio, of limited size in bytes.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, index: ShardIndex, limit: int) -> None:
        self.path, self.index, self.limit = path, index, limit
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def __reduce__(self) -> tuple[type["Cache"], tuple[Path, ShardIndex, int]]:
        return type(self), (self.path, self.index, self.limit)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def get(self, place: Place) -> bytes | None:
        """The bytes where the audio would be, to compare with its checksum; None for audio that is not cached."""
        begin = self._begin(place)
        return None if begin is None else os.pread(self._file, place.size, begin)

    def put(self, place: Place, audio: bytes) -> None:
        """Caches audio, if it belongs to the part that is cached.

        Raises:
            OSError: The disk is full.
        """
        begin = self._begin(place)
        if begin is not None:
            os.pwrite(self._file, audio, begin)

    def _begin(self, place: Place) -> int | None:
        begin = self.index.begin_in_cache(place)
        return begin if begin + place.size <= self.limit else None


log = logging.getLogger(__name__)

REQUESTS = 16
"""Concurrent requests of a process to a server: a single one would mostly wait."""


class ShardedAudio:
    """Reads utterances from the shards at a source by byte ranges; what comes from a server may be cached."""

    def __init__(self, source: str, ranges: Ranges, index: ShardIndex, cache: Cache | None) -> None:
        self.source, self.ranges, self.index, self.cache = source, ranges, index, cache
        self.remote = ranges.remote
        self.unfit: dict[str, str] = {}
        self._prefetched: dict[int, bytes | DataError] = {}
        self._threads: tuple[int, ThreadPoolExecutor] | None = None

    def __reduce__(self) -> tuple[type["ShardedAudio"], tuple[str, Ranges, ShardIndex, Cache | None], dict[str, Any]]:
        return type(self), (self.source, self.ranges, self.index, self.cache), {"unfit": self.unfit}

    def read(self, utterance: Utterance) -> Tensor:
        """The samples of an utterance, float32 in [-1, 1], shape (samples,).

        Raises:
            DataError: No shard has it, or the shard cannot be read, is truncated or has changed since it was packed.
        """
        place = self._find(utterance)
        audio = self._prefetched.pop(place.row, None)
        if audio is None:
            audio = self._fetch(place)
        if isinstance(audio, DataError):
            raise DataError(f"Utterance {utterance.id}: {audio}; put the shard back, or pack the corpus again.")
        return decode_waveform(utterance, audio, f"Utterance {utterance.id} ({place.shard} of {self.source})")

    def check(self, utterance: Utterance) -> None:
        """Checks that shards have an utterance, according to the index and `verify`.

        Raises:
            DataError: They do not.
        """
        place = self._find(utterance)
        if place.shard in self.unfit:
            raise DataError(f"Utterance {utterance.id}: {self.unfit[place.shard]}.")

    def verify(self) -> dict[str, str]:
        """Compares the sizes of all shards with the index; returns what is wrong with each that differs."""

        def fault(shard: tuple[str, int]) -> str | None:
            name, size = shard
            try:
                there = self.ranges.size(name)
            except DataError as error:
                return str(error)
            return None if there == size else f"{self.source}/{name} has {there} bytes, not the {size} that were packed"

        with ThreadPoolExecutor(REQUESTS) as threads:
            faults = zip(self.index.shards, threads.map(fault, self.index.shards.items()), strict=True)
            self.unfit = {name: what for name, what in faults if what is not None}
        return self.unfit

    def prefetch(self, utterances: Sequence[Utterance]) -> None:
        """Fetches what is read next from a server, with concurrent requests."""
        self._prefetched.clear()
        if not self.ranges.remote:
            return
        if self._threads is None or self._threads[0] != os.getpid():
            self._threads = os.getpid(), ThreadPoolExecutor(REQUESTS)
        places = [place for place in map(self.index.find, utterances) if place is not None]
        fetched = self._threads[1].map(self._fetch, places)
        self._prefetched = {place.row: audio for place, audio in zip(places, fetched, strict=True)}

    def stamps(self, utterances: Sequence[Utterance], data: Path) -> Iterator[list[Any]]:
        """Size and checksum of the audio of each utterance."""
        for utterance in utterances:
            place = self._find(utterance)
            yield ["shards", place.size, place.checksum]

    def _find(self, utterance: Utterance) -> Place:
        place = self.index.find(utterance)
        if place is None:
            raise DataError(
                f"Utterance {utterance.id}: the shards at {self.source} do not have it as the manifest describes it; "
                "pack the corpus again with `asr pack RECIPE`, or use the manifests that it was packed with."
            )
        return place

    def _fetch(self, place: Place) -> bytes | DataError:
        """The bytes of a place, or why they cannot be read."""
        if self.cache is not None:
            kept = self.cache.get(place)
            if kept is not None and zlib.crc32(kept) == place.checksum:
                return kept
        where = f"{place.shard} of {self.source}"
        try:
            audio = self.ranges.read(place.shard, place.begin, place.size)
        except DataError as error:
            return error
        if len(audio) < place.size:
            return DataError(
                f"{where} is truncated: it ends between the bytes {place.begin} and {place.begin + place.size}"
            )
        if len(audio) > place.size:
            return DataError(
                f"{where}: the server answers a byte range with a whole file; use a server that supports ranges"
            )
        if zlib.crc32(audio) != place.checksum:
            return DataError(f"{where} has changed since it was packed: its bytes have another checksum")
        if self.cache is not None:
            self._keep(self.cache, place, audio)
        return audio

    def _keep(self, cache: Cache, place: Place, audio: bytes) -> None:
        try:
            cache.put(place, audio)
        except OSError as error:
            log.warning("The cache %s cannot be written (%s): caching stops.", cache.path, error.strerror)
            self.cache = None


def open_audio(config: ShardsConfig, data: Path) -> AudioFiles | ShardedAudio:
    """Audio from the files that manifests name, or from shards; the index of those on a server is cached in the
    recipe's data folder.

    Raises:
        ConfigError: The protocol of the address is not supported.
        DataError: There are no shards there.
    """
    if config.source is None:
        return AudioFiles()
    ranges = open_ranges(config.source, config.timeout_seconds)
    try:
        described = json.loads(ranges.whole(DESCRIPTION))
        name, checksum = str(described["index"]), str(described["sha256"])
    except DataError as error:
        raise DataError(
            f"There are no shards: {error}; make them with `asr pack RECIPE shards.source=null`, or correct "
            "shards.source."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{config.source}/{DESCRIPTION} is damaged: pack the corpus again.") from None
    place = f"{key_of(masked(config.source)):016x}"
    path = _index(ranges, Path(name).name, checksum, data / "shards-index" / place)
    try:
        index = ShardIndex(path)
    except (ValueError, OSError) as error:
        raise DataError(f"The index of shards {path} cannot be used ({error}): delete it, or pack again.") from None
    cache = None
    if config.cache is not None and ranges.remote:
        cache = _open_cache(Path(config.cache).absolute() / f"{place}-{checksum[:16]}.cache", index, config.cache_gb)
    return ShardedAudio(masked(config.source), ranges, index, cache)


def _index(ranges: Ranges, name: str, checksum: str, folder: Path) -> Path:
    """The path of the index on this machine, fetched if necessary."""
    if isinstance(ranges, LocalRanges):
        return ranges.folder / name
    path = folder / name
    if not path.is_file():
        content = ranges.whole(name)
        if hashlib.sha256(content).hexdigest() != checksum:
            raise DataError(
                f"The index {name} of the shards does not have the checksum in shards.json: pack the corpus again."
            )
        with atomic_write(path) as file:
            file.write_bytes(content)
    return path


def _open_cache(path: Path, index: ShardIndex, gigabytes: float) -> Cache:
    try:
        return Cache(path, index, int(gigabytes * 1e9))
    except OSError as error:
        raise DataError(f"The cache {path} cannot be written ({error.strerror}): set shards.cache.") from None
