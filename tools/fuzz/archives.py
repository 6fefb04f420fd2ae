"""Archives that are unpacked: tar, plain and compressed, Debian packages, and what only looks like them."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal

from asr.data.archives import unpack, unpack_deb
from tools.fuzz.cases import Subject, Use
from tools.fuzz.files import BULKY, replace_file
from tools.fuzz.mutations import spoil_bytes

Member = tuple[tarfile.TarInfo, bytes]
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lambda content: lzma.compress(content, preset=0),
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE, preset=0),
}
NAMES = (
    "a", "b/c", "corpus/a.wav", "corpus/b.wav", "corpus/B.wav", "CORPUS/a.wav", "corpus", "corpus/", "./a",
    "a/../b", "..", "../x",
    "../../outside/kept.txt", "../../../outside/new.txt", "corpus/../../x", "/tmp/asr-fuzz-absolute", "//x", "",
    ".", "./",
    "a//b", "a/./b", "a/b/c/d/e/f", "x" * 255, "x" * 256, "x" * 300, "/".join(["d" * 200] * 25), "/".join(["d"] * 3000),
    "/".join(["d"] * 1900), "/".join(["d"] * 500),
    "é", "e\u0301", "\ud800", "\udcff", "a\nb", "a\x1b[2Jb", "a\\b", "C:\\x", "con", "a ", "a.", "-rf", "~", "$HOME",
    "a\u202eb", "\u2028", ".lock", ".asr", "original", "a\tb",
)  # fmt: skip
TYPES = (
    *(tarfile.REGTYPE, tarfile.AREGTYPE) * 8, *(tarfile.DIRTYPE,) * 4, *(tarfile.SYMTYPE, tarfile.LNKTYPE) * 3,
    tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"Z",
    b"\0", b"x", b"g", b"K", b"L", b"S",
)  # fmt: skip
SIZES = (-1, -512, 1, 511, 513, 2**31, 2**33, 2**40, 2**62, 2**63 - 1)
PAX = (
    {"path": "../../outside/kept.txt"}, {"path": "/tmp/asr-fuzz-absolute"}, {"path": "a\0b"}, {"size": "-1"},
    {"size": str(10**30)}, {"size": "x"}, {"mtime": "nan"}, {"mtime": "-1e300"}, {"mtime": "1e300"},
    {"linkpath": "../.."},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "../x", "GNU.sparse.realsize": str(2**40)},
    {"GNU.sparse.map": "0,1,2"}, {"GNU.sparse.map": "x,y"}, {"GNU.sparse.size": str(2**50), "GNU.sparse.map": "0,1"},
    {"hdrcharset": "BINARY"}, {"hdrcharset": "x"}, {"uid": "9" * 5000}, {"path": "x" * 100_000}, {"": ""},
    {"a": "\udcff"},
)  # fmt: skip
DEB = "deb"


class Archives(Subject):
    """Archives of a few members."""

    name = "archives"
    kinds = (*COMPRESSED, DEB, "tar", "gz", "xz", DEB, "zip")

    def make(self) -> None:
        members = [_member(name) for name in ("corpus/a.wav", "corpus/b.txt")]
        for kind in dict.fromkeys(self.kinds):
            Path(f"corpus.{kind}").write_bytes(_archive(kind, _tar(members, tarfile.GNU_FORMAT), "gz"))

    def take(self, kind: str, good: Path) -> Use:
        archive = Path(f"corpus.{kind}")
        archive.write_bytes((good / archive.name).read_bytes())
        return Use(lambda: unpacked(archive), ["data"])

    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        archive, said = Path(f"corpus.{kind}"), list[str]()
        if kind != "zip" and draw.random() < 0.85:
            members = [_odd_member(draw, said) for _ in range(draw.choice((1, 2, 3, 5, 8)))]
            tar = _tar(members, draw.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)))
            if draw.random() < 0.3:
                how, tar = spoil_bytes(draw, tar)
                said.append(f"tar: {how}")
            elif draw.random() < 0.1:
                tar = tar.rstrip(b"\0") if draw.random() < 0.5 else tar * draw.choice((2, 50))
                said.append("tar: without an end, or several")
            elif draw.random() < 0.03:
                tar += bytes(BULKY)
                said.append("tar: 300 MiB of zeros follow")
            archive.write_bytes(_archive(kind, tar, draw.choice(("gz", "xz", "bz2", "tar"))))
        if kind in ("xz", "lzma") and draw.random() < 0.15:
            archive.write_bytes(_with_dictionary(archive.read_bytes(), draw.choice((2**31, 2**32 - 1, 2**30))))
            said.append("a large dictionary")
        if draw.random() < 0.35 or not said:
            said.append(f"archive: {replace_file(draw, archive, [archive], outside, BULKY)}")
        return said


def unpacked(archive: Path) -> None:
    """Unpacks an archive, and looks that there are only files and folders that nobody runs as another user."""
    folder = Path("data/original")
    (unpack_deb if archive.suffix == f".{DEB}" else unpack)(archive, folder)
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and mode & 0o7111 == 0), f"{path} is a special file"


def _member(name: str, content: bytes = b"content\n") -> Member:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def _odd_member(draw: Random, said: list[str]) -> Member:
    member, content = _member(draw.choice(NAMES) if draw.random() < 0.7 else f"corpus/{draw.randrange(100)}")
    member.type = draw.choice(TYPES)
    if not member.isreg() and draw.random() < 0.8:
        content = b""
    member.size = len(content)
    if member.issym() or member.islnk():
        member.linkname = draw.choice((*NAMES, "/etc/passwd", "../..", "corpus/a.wav"))
    if draw.random() < 0.1:
        member.size = draw.choice(SIZES)
    if draw.random() < 0.15:
        member.mtime = draw.choice((-1, 2**40, 2**62, 0.5, -(2**40)))
    if draw.random() < 0.15:
        member.mode = draw.choice((0, 0o7777, 0o4755, 0o777777))
    if draw.random() < 0.1:
        member.uid, member.uname = draw.choice((0, -1, 2**40)), draw.choice(("root", "\0", "x" * 100))
    if draw.random() < 0.15:
        member.pax_headers = draw.choice(PAX)
    if draw.random() < 0.05:
        member.devmajor = member.devminor = draw.choice((1, 2**20))
    said.append(
        f"{ascii(member.name)[:60]} {member.type!r} {member.size} {ascii(member.linkname)[:40]} "
        f"{ascii(member.pax_headers)[:60]}"
    )
    return member, content


def _tar(members: list[Member], format: Literal[0, 1, 2]) -> bytes:
    """An archive of members; of those that a format cannot hold only their contents."""
    written = b""
    for member, content in members:
        try:
            written += member.tobuf(format, errors="surrogatepass")
        except (ValueError, struct.error, TypeError):
            written += (
                member.tobuf(tarfile.GNU_FORMAT, errors="replace")
                if member.size >= 0 and abs(member.mtime) < 2**33
                else b"x" * 512
            )
        written += content + bytes(-len(content) % 512)
    return written + bytes(1024)


def _archive(kind: str, tar: bytes, inner: str) -> bytes:
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("corpus/a.wav", "content")
        return buffer.getvalue()
    if kind != DEB:
        return COMPRESSED[kind](tar)
    parts = b"!<arch>\n"
    for name, content in {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(b""),
        f"data.tar.{inner}": COMPRESSED[inner](tar),
    }.items():
        parts += (
            f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
        )
    return parts


def _with_dictionary(content: bytes, size: int) -> bytes:
    """What was compressed by LZMA, with the claim to need a dictionary of some bytes.

    Source: xz-file-format.txt, 3.1 and 5.3.1
    """
    if content[:1] == b"\x5d":  # of the format before .xz
        return content[:1] + struct.pack("<I", size) + content[5:]
    changed = bytearray(content)
    end = 12 + (changed[12] + 1) * 4 - 4
    changed[changed.index(b"\x21\x01", 12) + 2] = {2**30: 36, 2**31: 38, 2**32 - 1: 40}[size]
    changed[end : end + 4] = struct.pack("<I", zlib.crc32(changed[12:end]))
    return bytes(changed)
