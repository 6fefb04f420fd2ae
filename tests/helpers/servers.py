"""Servers of files in this process: one of S3's kind, and a plain one of byte ranges that can fail on purpose."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch, bucket: str) -> Iterator[Any]:
    """moto's server with an empty bucket; gives a filesystem of it. Processes started meanwhile find it too."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        system = s3fs.S3FileSystem(skip_instance_cache=True)
        system.mkdir(bucket)
        yield system
    finally:
        server.stop()


class Faults:
    """What a server is to do wrong, and what it was asked."""

    def __init__(self) -> None:
        self.refuse = False
        self.ignore_ranges = False
        self.hang: threading.Event | None = None
        self.ranges: list[str] = []


@contextmanager
def http_server(folder: Path) -> Iterator[tuple[str, Faults]]:
    """Serves a folder; gives its address."""
    faults = Faults()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = folder / self.path.lstrip("/")
            if faults.refuse or not path.is_file():
                self.send_error(503 if faults.refuse else 404)
                return
            if faults.hang is not None:
                faults.hang.wait(20)
            content, status = path.read_bytes(), 200
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if wanted and not faults.ignore_ranges:
                faults.ranges.append(path.name)
                content, status = content[int(wanted[1]) : int(wanted[2]) + 1], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", faults
    finally:
        if faults.hang is not None:
            faults.hang.set()
        server.shutdown()
        server.server_close()
