"""What was read from a server, kept on the local disk up to a size.

A training reads every utterance once in each epoch, in random order. What is thrown out to make room for newer bytes is
then gone before its turn comes again; so nothing is thrown out, and of a corpus that is too large a fixed part is kept.
Which one, and where in the file each utterance lies, follows from the index alone: processes share the file without
asking each other. Nothing says what is there but the checksums, so a write that was cut off is but a gap.
"""

import os
from pathlib import Path

from asr.data.shards.index import Place, ShardIndex


class Cache:
    """One sparse file with the audio that is kept.

    Args:
        path: Of the file.
        limit: Bytes that it may have.

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
        """What lies where the audio would be, if it is kept at all: to be compared with its checksum."""
        begin = self._begin(place)
        return None if begin is None else os.pread(self._file, place.size, begin)

    def put(self, place: Place, audio: bytes) -> None:
        """Keeps audio, if it belongs to the part that is kept.

        Raises:
            OSError: The disk is full.
        """
        begin = self._begin(place)
        if begin is not None:
            os.pwrite(self._file, audio, begin)

    def _begin(self, place: Place) -> int | None:
        begin = self.index.begin_in_cache(place)
        return begin if begin + place.size <= self.limit else None
