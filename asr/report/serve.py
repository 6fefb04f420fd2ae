"""A report that follows running trainings: a server for this machine only, which rebuilds the page when asked."""

import json
import logging
import threading
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from asr.common.errors import ConfigError, UserError
from asr.report.notes import save_note
from asr.report.page import MARK, Report

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
SERVED = (".html", ".js", ".css", ".flac")
STATUS, NOTES = "/status", "/notes"
LARGEST = 100_000
"""Bytes of a request that is read."""


class Following:
    """A report that is rebuilt when its runs have new data, by one thread at a time."""

    def __init__(self, report: Report) -> None:
        self.report, self.folder = report, report.options.folder.resolve()
        self._lock = threading.Lock()
        self._signature = report.build()

    def refresh(self) -> dict[str, Any]:
        """Rebuilds the page if it is out of date; gives its signature, and the reason where it could not."""
        with self._lock:
            try:
                if self.report.signature() != self._signature:
                    self._signature = self.report.build()
            except (UserError, OSError) as error:
                log.warning("The page was not rebuilt: %s", error)
                return {"signature": self._signature, "problem": str(error)}
            return {"signature": self._signature, "problem": None}

    def keep_note(self, note: Any) -> None:
        """Saves a note in the folder of the report.

        Raises:
            ValueError: It is none, or the file of the notes is damaged.
        """
        with self._lock:
            save_note(self.folder, note)


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of the report and nothing else."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, following: Following, **options: Any) -> None:
        self.following = following
        super().__init__(*arguments, directory=str(following.folder), **options)

    def do_GET(self) -> None:
        """Answers a request for the status or for a file."""
        if not self._for_this_machine():
            self.send_error(HTTPStatus.FORBIDDEN, "Only this machine is served")
        elif urlsplit(self.path).path == STATUS:
            self._send_status()
        elif self._served_file() is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            super().do_GET()

    def do_POST(self) -> None:
        """Keeps a note that the page itself sends, in the folder of the report."""
        length = self.headers.get("Content-Length") or ""
        if not self._for_this_machine() or not self._from_the_page():
            self.send_error(HTTPStatus.FORBIDDEN, "Only this page is served")
        elif urlsplit(self.path).path != NOTES:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not length.isdecimal() or int(length) > LARGEST:
            self.close_connection = True  # what was not read would be taken for the next request
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            try:
                self.following.keep_note(json.loads(self.rfile.read(int(length))))
            except (ValueError, RecursionError, OSError) as error:
                self._send(HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", str(error).encode())
            else:
                self._send(HTTPStatus.OK, "application/json", b"{}")

    def do_HEAD(self) -> None:
        """Answers like a GET of a file, without its content."""
        if self._for_this_machine() and self._served_file() is not None:
            super().do_HEAD()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Forbids caching: the next build may change every file."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Does not log requests."""

    def _for_this_machine(self) -> bool:
        """Whether the request names this machine: another name that resolves to it may be an attack (DNS rebinding)."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        return host in (LOOPBACK, "localhost")

    def _from_the_page(self) -> bool:
        """Whether a request that changes something comes from the page, and not from one of another server."""
        origin, kind = self.headers.get("Origin"), (self.headers.get("Content-Type") or "").partition(";")[0]
        return kind == "application/json" and origin in (None, f"http://{self.headers.get('Host')}")

    def _served_file(self) -> Path | None:
        """The requested file, if it is one of the report."""
        path = unquote(urlsplit(self.path).path)
        if "\0" in path:
            return None
        file = (self.following.folder / (path.lstrip("/") or "index.html")).resolve()
        inside = file.is_relative_to(self.following.folder) and file.name != MARK
        return file if inside and file.suffix in SERVED and file.is_file() else None

    def _send_status(self) -> None:
        self._send(HTTPStatus.OK, "application/json", json.dumps(self.following.refresh()).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def make_server(report: Report, port: int) -> ThreadingHTTPServer:
    """Binds the port of this machine, 0 for any that is free, and builds the page.

    Raises:
        ConfigError: The port is taken.
    """
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), SimpleHTTPRequestHandler)
    except OSError as error:
        raise ConfigError(f"Port {port} cannot be used ({error.strerror}): choose another by --port.") from None
    try:
        server.RequestHandlerClass = partial(Handler, following=Following(report))
    except BaseException:
        server.server_close()
        raise
    server.daemon_threads = True
    return server


def serve(report: Report, port: int) -> None:
    """Serves until Ctrl-C."""
    with make_server(report, port) as server:
        log.info("The page is at http://%s:%d/ and follows its runs; Ctrl-C stops it.", LOOPBACK, server.server_port)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log.info("The page is in %s.", report.options.folder)
