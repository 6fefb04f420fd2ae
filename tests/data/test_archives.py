"""Archives come from a mirror, an earlier download or the publisher, and unpack whole or not at all."""

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from asr.common.errors import DataError
from asr.data.archives import ArchiveMissing, fetch_archive, mirrors, unpack
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


@pytest.mark.parametrize("name", ["../outside", "corpus/../../../outside"])
def test_a_member_that_reaches_outside_is_refused(tmp_path: Path, name: str) -> None:
    archive = write_archive(tmp_path / NAME, {"corpus/a.txt": b"a", name: b"evil"})
    with pytest.raises(DataError, match=NAME):
        unpack(archive, tmp_path / "data" / "original")
    assert names(tmp_path / "data") == []
    assert names(tmp_path) == [NAME, "data"]


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
