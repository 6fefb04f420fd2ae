"""Archives come from a mirror, an earlier download or the publisher, and unpack whole or not at all."""

import gzip
import hashlib
import io
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from asr.common.errors import DataError
from asr.data.archives import ArchiveMissing, fetch_archive, mirrors, unpack, unpack_deb
from asr.settings.recipe import SHIPPED

NAME = "corpus.tar.gz"
NOWHERE = "http://127.0.0.1:9/corpus.tar.gz"


@pytest.fixture(autouse=True)
def _no_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_MIRRORS", "")
    monkeypatch.setenv("no_proxy", "*")


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_mirrors_are_searched_in_order_before_earlier_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, downloads = tmp_path / "first", tmp_path / "second", tmp_path / "downloads"
    monkeypatch.setenv("ASR_MIRRORS", os.pathsep.join((str(first), str(second))))
    for folder in (downloads, second, first):
        archive = write_archive(folder / NAME, {"a": b"a"})
        assert fetch_archive(NAME, downloads, NOWHERE) == archive


def test_relative_mirrors_start_at_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_MIRRORS", "here")
    assert mirrors() == [SHIPPED / "here"]
    monkeypatch.delenv("ASR_MIRRORS")
    assert mirrors() == [SHIPPED / "corpora", SHIPPED / "../shared/corpora"]


def test_the_publisher_is_asked_last_and_its_checksum_compared(tmp_path: Path) -> None:
    published = write_archive(tmp_path / "publisher" / NAME, {"a": b"a"})
    sha256 = hashlib.sha256(published.read_bytes()).hexdigest()
    archive = fetch_archive(NAME, tmp_path / "downloads", published.as_uri(), sha256)
    assert archive == tmp_path / "downloads" / NAME
    assert archive.read_bytes() == published.read_bytes()
    assert names(tmp_path / "downloads") == [NAME]


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    published = write_archive(tmp_path / "publisher" / NAME, {"a": b"a"})
    with pytest.raises(ArchiveMissing, match="SHA-256"):
        fetch_archive(NAME, tmp_path / "downloads", published.as_uri(), "0" * 64)
    assert names(tmp_path / "downloads") == []


def test_a_connection_that_breaks_leaves_nothing(tmp_path: Path, breaking_server: str) -> None:
    with pytest.raises(ArchiveMissing, match=NAME):
        fetch_archive(NAME, tmp_path / "downloads", breaking_server)
    assert names(tmp_path / "downloads") == []


@pytest.mark.parametrize("url", [None, NOWHERE])
def test_a_missing_archive_is_one_sentence_with_the_remedy(tmp_path: Path, url: str | None) -> None:
    with pytest.raises(ArchiveMissing) as caught:
        fetch_archive(NAME, tmp_path / "downloads", url)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert f"put {NAME} into {tmp_path / 'downloads'}" in sentence and "ASR_MIRRORS" in sentence


def test_an_archive_is_unpacked_once(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / NAME, {"corpus/a.txt": b"a"})
    folder = unpack(archive, tmp_path / "data" / "original")
    assert (folder / "corpus" / "a.txt").read_bytes() == b"a"
    archive.unlink()
    assert unpack(archive, folder) == folder


@pytest.mark.parametrize("kept", [0, 5, 0.3, 0.6, 0.99])
def test_a_truncated_archive_leaves_nothing(tmp_path: Path, kept: float) -> None:
    archive = write_archive(tmp_path / NAME, {f"corpus/{i}.bin": os.urandom(20000) for i in range(5)})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(DataError, match=NAME):
        unpack(archive, tmp_path / "data" / "original")
    assert names(tmp_path / "data") == []


def test_a_web_page_in_place_of_an_archive_leaves_nothing(tmp_path: Path) -> None:
    archive = tmp_path / NAME
    archive.write_text("<html>not found</html>")
    with pytest.raises(DataError, match=NAME):
        unpack(archive, tmp_path / "data" / "original")
    assert names(tmp_path / "data") == []


def members_of(kind: str, outside: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """An archive that writes `outside`, or something other than a file or folder, where it is unpacked carelessly."""

    def file(name: str, **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
        member = tarfile.TarInfo(name)
        for attribute, value in attributes.items():
            setattr(member, attribute, value)
        content = b"evil" if member.isreg() else b""
        member.size = len(content)
        return member, content

    link = {"type": tarfile.SYMTYPE}
    return {
        "parent": [file("../outside")],
        "parent within": [file("corpus/../../../outside")],
        "absolute": [file(str(outside))],
        "through a link": [file("corpus", linkname="../..", **link), file("corpus/outside")],
        "through a link to a file": [file("x", linkname=str(outside), **link), file("x")],
        # CVE-2025-4517: a path too long for realpath() hides where its last link leads.
        "through a path longer than PATH_MAX": [
            *(file("/".join(["d" * 247] * depth), type=tarfile.DIRTYPE) for depth in range(1, 16)),
            file("/".join([*["d" * 247] * 15, "up"]), linkname="/".join([".."] * 15), **link),
            file("escape", linkname="/".join([*["d" * 247] * 15, "up", "../.."]), **link),
            file("escape/outside"),
        ],
        "hard link": [file("x", type=tarfile.LNKTYPE, linkname=str(outside))],
        "pipe": [file("pipe", type=tarfile.FIFOTYPE)],
        "device": [file("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
        "set-user-ID": [file("tool", mode=0o4777)],
    }[kind]


HOSTILE = (
    "parent", "parent within", "absolute", "through a link", "through a link to a file",
    "through a path longer than PATH_MAX", "hard link", "pipe", "device", "set-user-ID",
)  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("package", [False, True], ids=["tar", "deb"])
def test_nothing_but_files_and_folders_within_the_folder_is_unpacked(tmp_path: Path, kind: str, package: bool) -> None:
    outside = tmp_path / "outside"
    outside.write_text("good")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz", format=tarfile.GNU_FORMAT) as tar:
        for member, data in members_of(kind, outside):
            tar.addfile(member, io.BytesIO(data))
    archive = tmp_path / NAME
    if package:
        header = f"{'data.tar.xz':16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content.getvalue()):<10}`\n".encode()
        archive.write_bytes(b"!<arch>\n" + header + content.getvalue())
    else:
        archive.write_bytes(content.getvalue())
    with suppress(DataError):
        (unpack_deb if package else unpack)(archive, tmp_path / "data" / "original")
    assert outside.read_text() == "good"
    assert names(tmp_path) == sorted([NAME, "data", "outside"])
    for path in (tmp_path / "data").rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and mode & 0o7111 == 0)


@pytest.mark.parametrize(
    ("links", "found", "left_out"),
    [
        ({"corpus/b": ("a", tarfile.SYMTYPE)}, ["a", "b"], 0),
        ({"corpus/b": ("corpus/a", tarfile.LNKTYPE)}, ["a", "b"], 0),
        ({"corpus/b": ("../corpus/./a", tarfile.SYMTYPE)}, ["a", "b"], 0),
        ({"corpus/b": ("c", tarfile.SYMTYPE), "corpus/c": ("a", tarfile.SYMTYPE)}, ["a", "b", "c"], 0),
        ({"corpus/b": ("c", tarfile.SYMTYPE), "corpus/c": ("b", tarfile.SYMTYPE)}, ["a"], 2),
        ({"corpus/b": ("/etc/hostname", tarfile.SYMTYPE), "corpus/c": ("none", tarfile.SYMTYPE)}, ["a"], 2),
        ({"corpus/b": ("../../outside", tarfile.SYMTYPE), "corpus/c": ("outside", tarfile.LNKTYPE)}, ["a"], 2),
    ],
)
def test_links_within_an_archive_become_copies(
    links: dict[str, tuple[str, bytes]],
    found: list[str],
    left_out: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "outside").write_text("secret")
    with tarfile.open(tmp_path / NAME, "w:gz") as tar:
        for name, (target, type) in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = type, target
            tar.addfile(member)
        member = tarfile.TarInfo("corpus/a")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"good"))
    with caplog.at_level("INFO"):
        folder = unpack(tmp_path / NAME, tmp_path / "data" / "original")
    assert names(folder / "corpus") == found
    assert all((folder / "corpus" / name).read_bytes() == b"good" for name in found)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (f"Left out of it: {left_out} links" in caplog.text) == (left_out > 0)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_damage_of_each_compression_names_the_archive(tmp_path: Path, suffix: str, place: float) -> None:
    archive = tmp_path / f"corpus.tar.{suffix}"
    with tarfile.open(archive, f"w:{suffix}") as tar:  # type: ignore[call-overload]
        member = tarfile.TarInfo("a.bin")
        member.size = 200_000
        tar.addfile(member, io.BytesIO(os.urandom(200_000)))
    content = bytearray(archive.read_bytes())
    begin = int(place * len(content))
    content[begin : begin + 50] = bytes(50)
    archive.write_bytes(content)
    with pytest.raises(DataError, match=archive.name):
        unpack(archive, tmp_path / "data" / "original")
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("size", "type"), [(1 << 60, tarfile.REGTYPE), (-512, tarfile.REGTYPE), (1 << 40, tarfile.XHDTYPE)]
)
def test_a_size_that_no_disk_holds_is_refused(tmp_path: Path, size: int, type: bytes) -> None:
    member = tarfile.TarInfo("a.bin")
    member.size, member.type = size, type
    (tmp_path / NAME).write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    with pytest.raises(DataError, match=f"(?s){NAME}.*{size} bytes"):
        unpack(tmp_path / NAME, tmp_path / "data" / "original")


@pytest.mark.parametrize("name", ["a/b", "n" * 300, "a"])
def test_names_that_cannot_be_files_name_the_archive(tmp_path: Path, name: str) -> None:
    archive = write_archive(tmp_path / NAME, {"a": b"a"})
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a"))
        member = tarfile.TarInfo(name)
        member.type = tarfile.DIRTYPE if name == "a" else tarfile.REGTYPE
        tar.addfile(member)
    with pytest.raises(DataError, match=NAME):
        unpack(archive, tmp_path / "data" / "original")
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize("name", ["/".join("d" * 500), "/".join("d" * 1900), "/".join(["d" * 200] * 25)])
def test_folders_beyond_all_depth_are_one_short_sentence(tmp_path: Path, name: str) -> None:
    archive = write_archive(tmp_path / NAME, {name: b"a"})
    with pytest.raises(DataError, match=NAME) as error:
        unpack(archive, tmp_path / "data" / "original")
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_an_archive_that_goes_on_with_zeros_was_not_fetched_whole(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"corpus.tar.{suffix}"
    with tarfile.open(archive, f"w:{suffix}") as tar:  # type: ignore[call-overload]
        tar.addfile(tarfile.TarInfo("a"))
    os.truncate(archive, 1 << 30)
    with pytest.raises(DataError, match="ends in zeros"):
        unpack(archive, tmp_path / "data" / "original")
    assert names(tmp_path / "data") == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "zeros", "missing", "zip"])
@pytest.mark.parametrize("package", [False, True], ids=["tar", "deb"])
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, kind: str, package: bool) -> None:
    archive = tmp_path / NAME
    if kind == "pipe":
        os.mkfifo(archive)
    elif kind == "folder":
        archive.mkdir()
    elif kind == "zeros":
        archive.symlink_to("/dev/zero")
    elif kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a", "a")
    with pytest.raises(DataError, match=NAME) as error:
        (unpack_deb if package else unpack)(archive, tmp_path / "data" / "original")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", ["-60", "99999999", "x"])
def test_a_member_of_a_package_of_impossible_size_is_refused(tmp_path: Path, size: str) -> None:
    package = tmp_path / "speech.deb"
    package.write_bytes(b"!<arch>\n" + f"{'control.tar.xz':16}{0:<12}{0:<6}{0:<6}{0:<8}{size:<10}`\n".encode())
    with pytest.raises(DataError, match=r"speech\.deb"):
        unpack_deb(package, tmp_path / "data" / "original")


def test_a_mirror_must_have_the_known_checksum_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive = write_archive(tmp_path / "mirror" / NAME, {"a": b"a"})
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setenv("ASR_MIRRORS", str(tmp_path / "mirror"))
    assert fetch_archive(NAME, tmp_path / "downloads", NOWHERE, ("0" * 64, sha256)) == archive
    with pytest.raises(DataError, match=f"{sha256}.*ASR_ANY_CHECKSUM=1"):
        fetch_archive(NAME, tmp_path / "downloads", NOWHERE, "0" * 64)
    monkeypatch.setenv("ASR_ANY_CHECKSUM", "1")
    assert fetch_archive(NAME, tmp_path / "downloads", NOWHERE, "0" * 64) == archive
    assert f"{archive} is not the publisher's" in caplog.text


@pytest.fixture
def breaking_server() -> Iterator[str]:
    class Breaking(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"too little")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{NAME}"
        server.shutdown()
        thread.join(30)
