"""What the header of an audio file says, compared with what the file holds.

libsndfile takes a truncated file for a shorter one, one whose recorder was interrupted for an empty one, and reads only
as much of an MP3 file as it takes its length to be.
"""

import functools
import shlex
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import soundfile

from asr.data.audio_paths import for_libsndfile

UNKNOWN_SAMPLES = 2**40
"""libsndfile says that a FLAC file has even more if it was written to a pipe."""
UNKNOWN_BYTES = frozenset((*range(0x7FFFF000, 0x80000001), 0xFFFFFFFF))
"""Sizes that programs write that cannot seek back to the header, as at the end of a pipe."""
LEAST_BYTES = 2048
"""Fewer bytes after the audio are no audio."""
LONGEST_PAGE = 27 + 255 + 255 * 255
"""Of an Ogg file (bytes)."""


def header_fault(path: Path, name: str | None = None) -> str | None:
    """What is wrong with the header of a file that libsndfile opens, with a remedy; None where nothing is.

    What is decoded by FFmpeg, FLAC and CAF notice it when they are decoded.

    Args:
        path: The file.
        name: What the remedy calls it; None for the path.
    """
    header, remedy = _header(path), _ffmpeg(path, name)
    extent = header.extent
    if extent is not None and extent.missing:
        return (
            f"its header promises {extent.missing} bytes more than the file has; it is truncated, replace it, or keep "
            f"what is there with {remedy}"
        )
    if extent is not None and extent.said == 0 and extent.uncounted:
        return (
            f"its header says that it is empty, but {extent.uncounted} bytes of audio follow, as where a recorder was "
            f"interrupted; write it again with {remedy}"
        )
    if header.endless:
        return f"it does not say how long it is, as if written to a pipe; write it again with {remedy}"
    if (counted := header.samples) is not None:
        info = soundfile.info(for_libsndfile(path))
        if counted > info.frames + info.samplerate / 10:
            read, there = info.frames / info.samplerate, counted / info.samplerate
            return (
                f"it does not say how long it is, so that {read:.1f} of its {there:.1f} s would be read; write it "
                f"again with {_ffmpeg(path, name, '-c copy ')}"
            )
    return None


def length_fault(path: Path, samples: int) -> str | None:
    """As `header_fault`, where nobody knows how many samples can be read.

    Of other files what can be read is an utterance, which the corpus check names and can leave out.

    Args:
        samples: As many as `count_samples` gives.
    """
    fault = header_fault(path)
    known = 0 < samples < UNKNOWN_SAMPLES and path.suffix.lower() != ".mp3"
    return None if known else fault


def header_warning(path: Path, name: str | None = None) -> str | None:
    """As `header_fault`, where libsndfile reads all that the header counts, and the file has more."""
    extent = _header(path).extent
    if extent is None or extent.said == 0 or not extent.uncounted:
        return None
    return (
        f"its header counts {extent.said} bytes of audio, and {extent.uncounted} more follow, which are not read; "
        f"write it again with {_ffmpeg(path, name, ignored_length=True)}"
    )


def count_samples(path: Path, frames: int) -> int:
    """Samples of each channel that can be read; they are counted where the header does not say it.

    Args:
        frames: How many there are according to libsndfile.

    Raises:
        soundfile.LibsndfileError: The file cannot be decoded.
        OSError: It cannot be read.
    """
    if _header(path).samples is not None:
        frames = 0
        with soundfile.SoundFile(for_libsndfile(path)) as sound:
            while block := len(sound.read(1 << 20, dtype="float32", always_2d=True)):
                frames += block
    return frames


def _ffmpeg(path: Path, name: str | None, options: str = "", *, ignored_length: bool = False) -> str:
    """A command that writes a file again under another name."""
    before = "-ignore_length 1 " if ignored_length and path.suffix.lower() == ".wav" else ""
    read, written = (name, f"fixed-{name}") if name is not None else map(shlex.quote, (str(path), f"fixed-{path.name}"))
    return f"`ffmpeg {before}-i {read} {options}{written}`"


@dataclass(frozen=True, slots=True)
class _Extent:
    """The audio of a file in bytes."""

    said: int
    """How much there is according to the header."""
    missing: int
    """How much of that the file does not have."""
    uncounted: int
    """What follows that is no chunk of another kind."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What a file says of its length."""

    extent: _Extent | None = None
    """None for formats without a size in bytes, and where the header does not say it."""
    endless: bool = False
    """Whether it is a FLAC file that says 0 samples, which stands for an unknown number (RFC 9639)."""
    samples: int | None = None
    """Of an MP3 file that does not say how many they are: those of its frames."""


CHUNKED = {
    b"RIFF": (12, "<4sI", 2), b"RIFX": (12, ">4sI", 2), b"RF64": (12, "<4sI", 2), b"FORM": (12, ">4sI", 2),
    b"riff": (40, "<16sQ", 8),
}  # fmt: skip
"""Formats of chunks: where the first one begins, the layout of a name and a size, and what a size is rounded up to."""


def _header(path: Path) -> _Header:
    status = path.stat()
    return _read_header(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _read_header(path: Path, size: int, changed: int) -> _Header:
    """The header of a file as it was at a time; segments of one file follow each other."""
    with path.open("rb") as file:
        head, mp3 = file.read(1024), None
        found: tuple[int, int] | None = None
        if head[:4] in CHUNKED:
            found = _chunk_of_audio(file, head[:4], size)
        elif head[:4] == b"fLaC":
            return _Header(endless=int.from_bytes(head[21:26]) % (1 << 36) == 0)
        elif head[:4] == b".snd" and len(head) >= 12:
            found = struct.unpack_from(">II", head, 4)
        elif head.startswith(b"NIST_1A"):
            found = _sphere(head)
        elif head.startswith(b"OggS"):
            found = _last_page(file, size)
        elif (mp3 := _Mp3.of(file)) is not None:
            if not mp3.tag:
                return _Header(samples=mp3.count(file))
            found = None if mp3.said is None else (mp3.begin, mp3.said)
        if found is None or found[1] in UNKNOWN_BYTES:
            return _Header()
        begin, said = found
        missing = max(0, begin + said - size)
        if mp3 is not None and 100 * missing < said:
            missing = 0  # encoders do not count exactly
        uncounted = _uncounted(file, begin + said, size, empty=said == 0, mp3=mp3 is not None)
        return _Header(_Extent(said, missing, uncounted))


def _chunk_of_audio(file: IO[bytes], kind: bytes, size: int) -> tuple[int, int] | None:
    """Where the audio begins, and how many bytes it has."""
    place, layout, multiple = CHUNKED[kind]
    head, large = struct.calcsize(layout), None
    while place + head <= size:
        file.seek(place)
        name, length = struct.unpack(layout, file.read(head))
        if kind == b"riff":  # Sony's sizes include name and size
            length = max(0, length - head)
        if name == b"ds64" and place + head + 16 <= size:
            (large,) = struct.unpack("<8xQ", file.read(16))
        if name[:4] in (b"data", b"SSND"):
            return place + head, large if large is not None and length == 0xFFFFFFFF else length
        place += head + -(-length // multiple) * multiple
    return None


def _sphere(head: bytes) -> tuple[int, int] | None:
    """Source: the header of NIST SPHERE is lines of a name, a type and a value, as long as its second line says."""
    try:
        length = int(head.split(b"\n", 2)[1])
        fields = dict(line.split(" ", 2)[::2] for line in head.decode("ascii", "replace").split("\n") if " -" in line)
        if fields.get("sample_coding", "pcm") not in ("pcm", "ulaw", "alaw", "pcm-alaw", "mu-law"):
            return None  # compressed
        size = int(fields["sample_count"]) * int(fields.get("channel_count", 1)) * int(fields["sample_n_bytes"])
    except (ValueError, IndexError, KeyError):
        return None
    return length, size


def _last_page(file: IO[bytes], size: int) -> tuple[int, int] | None:
    """Where the last page of an Ogg file begins, and how long it is.

    Source: RFC 3533
    """
    begin = max(0, size - LONGEST_PAGE)
    file.seek(begin)
    content = file.read()
    place = content.rfind(b"OggS")
    head, segments = content[place : place + 27], content[place + 27 : place + 282]
    if place < 0 or len(head) < 27 or len(segments) < head[26]:
        return None
    return begin + place, 27 + head[26] + sum(segments[: head[26]])


def _uncounted(file: IO[bytes], end: int, size: int, *, empty: bool, mp3: bool) -> int:
    """The bytes after an end, unless they are few, zeros, tags or chunks, which may be one byte off."""
    if size - end < (1 if empty else LEAST_BYTES):
        return 0
    file.seek(end)
    rest = file.read(1 << 16)
    if mp3:
        return size - end if rest.startswith(b"ID3") or _frame(rest, 0) is not None else 0
    for place in range(min(2, len(rest) - 7)):
        name, length = struct.unpack_from("<4sI", rest, place)
        if name.replace(b" ", b"").isalnum() and length <= size - end:
            return 0
    return size - end if empty or any(rest) else 0


BITRATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Of MPEG-1 and of MPEG-2, layer III (kbit/s), by their number in the header of a frame."""
RATES = (44100, 48000, 32000)
"""Of MPEG-1 (Hz); MPEG-2 has half of them, and MPEG-2.5 a quarter."""


@dataclass(frozen=True, slots=True)
class _Mp3:
    """An MP3 file.

    Source: http://www.mp3-tech.org/programmer/frame_header.html, and for the first frame
    http://gabriel.mp3-tech.org/mp3infotag.html
    """

    begin: int
    """Where its first frame is."""
    first: bytes
    """That frame, which says how long the file is, or is already sound."""

    @classmethod
    def of(cls, file: IO[bytes]) -> "_Mp3 | None":
        """None for other files."""
        file.seek(0)
        begin, head = 0, file.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            begin = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(begin)
        content = file.read(4096)
        frame = _frame(content, 0)
        return None if frame is None else cls(begin, content[: frame[0]])

    @property
    def tag(self) -> bytes:
        """What follows the mark of a first frame that says how long the file is; empty where it does not."""
        mark = max(self.first.find(b"Xing"), self.first.find(b"Info"))
        return self.first[mark + 4 :] if mark >= 0 else b""

    @property
    def said(self) -> int | None:
        """The bytes of all frames, according to the first."""
        if len(self.tag) < 12:
            return None
        flags, *values = struct.unpack_from(">3I", self.tag)
        return values[flags & 1] if flags & 2 else None

    def count(self, file: IO[bytes]) -> int:
        """The samples of all frames."""
        file.seek(self.begin)
        content = file.read()
        samples = place = 0
        while (frame := _frame(content, place)) is not None and place + frame[0] <= len(content):
            samples, place = samples + frame[1], place + frame[0]
        return samples


def _frame(content: bytes, place: int) -> tuple[int, int] | None:
    """Bytes and samples of the MP3 frame at a place; None where there is none."""
    if place + 4 > len(content):
        return None
    head = int.from_bytes(content[place : place + 4])
    version, layer, number, rate = head >> 19 & 3, head >> 17 & 3, head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or layer != 1 or number in (0, 15) or rate == 3:
        return None
    first = version == 3
    hertz = RATES[rate] // (1 if first else 2 if version == 2 else 4)
    kilobits = BITRATES[0 if first else 1][number]
    return (144 if first else 72) * 1000 * kilobits // hertz + (head >> 9 & 1), 1152 if first else 576
