"""What the header of a file promises, against what is there: libsndfile takes a file that was cut for a shorter one."""

import struct
from pathlib import Path

CHUNK = struct.Struct("<4sI")
UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000)
"""What programs write that could not go back to the header, as at the end of a pipe."""


def missing_bytes(path: Path) -> int:
    """How many bytes of audio a WAV or SPHERE file lacks; 0 for other formats, and where the header does not say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _missing_of_wav(path, size)
    if head.startswith(b"NIST_1A"):
        return _missing_of_sphere(head, size)
    return 0


def _missing_of_wav(path: Path, size: int) -> int:
    with path.open("rb") as file:
        place = 12
        while place + CHUNK.size <= size:
            file.seek(place)
            name, length = CHUNK.unpack(file.read(CHUNK.size))
            if name == b"data":
                return 0 if length in UNKNOWN_SIZES else max(0, place + CHUNK.size + length - size)
            place += CHUNK.size + length + length % 2
    return 0


def _missing_of_sphere(head: bytes, size: int) -> int:
    """Source: the header of NIST SPHERE is lines of a name, a type and a value, as long as its second line says."""
    try:
        length = int(head.split(b"\n", 2)[1])
        fields = dict(line.split(" ", 2)[::2] for line in head.decode("ascii", "replace").split("\n") if " -" in line)
        if fields.get("sample_coding", "pcm") not in ("pcm", "ulaw", "alaw", "pcm-alaw", "mu-law"):
            return 0  # compressed
        sample = int(fields["sample_count"]) * int(fields.get("channel_count", 1)) * int(fields["sample_n_bytes"])
    except (ValueError, IndexError, KeyError):
        return 0
    return max(0, length + sample - size)
