"""A stand-in of the Hugging Face hub in this process: repositories of small files, with commits and tokens."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TOKEN = "hf_" + "secret" * 5


@dataclass
class Repository:
    private: bool = True
    commits: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {}})
    """The files of each by its hash, the newest last."""

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def commit(self, files: dict[str, bytes]) -> str:
        digest = hashlib.sha1(repr((self.head, files)).encode()).hexdigest()
        self.commits[digest] = files
        return digest

    def resolve(self, revision: str) -> str | None:
        return self.head if revision == "main" else revision if revision in self.commits else None


@dataclass
class Hub:
    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Method and path of each request."""
    broken: bool = False
    """Whether every request fails."""
    token: str | None = None
    """That every request must have."""


@contextmanager
def hub_server(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Serves a hub that the library uses in the place of the real one, with a cache of its own."""
    pytest.importorskip("huggingface_hub", reason="pip install 'asr[hub]' brings huggingface_hub")
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *arguments: Any) -> None:
            pass

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            if hub.broken:
                return self._send(500, {})
            if hub.token is not None and self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self._send(401, {}, {"X-Error-Code": "RepoNotFound"})
            if path == "/api/validate-yaml":
                return self._send(200, {"errors": [], "warnings": []})
            if path == "/api/repos/create":
                wanted = json.loads(content)
                name = f"{wanted['organization']}/{wanted['name']}"
                status = 409 if name in hub.repositories else 200
                hub.repositories.setdefault(name, Repository(wanted.get("visibility", "public") == "private"))
                return self._send(status, {"url": f"{hub.address}/{name}", "name": name})
            found = re.fullmatch(r"/(?:api/models/)?([^/]+/[^/]+)/(\w+)/([^/]+)(?:/(.*))?", path)
            repository = None if found is None else hub.repositories.get(found[1])
            if found is None or repository is None:
                return self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
            commit = repository.resolve(found[3])
            if commit is None:
                return self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
            return self._of_commit(repository, found, commit, content)

        def _of_commit(self, repository: Repository, found: "re.Match[str]", commit: str, content: bytes) -> None:
            files, verb = repository.commits[commit], found[2]
            if verb == "revision":
                listed = [{"rfilename": name} for name in files]
                self._send(200, {"id": found[1], "modelId": found[1], "sha": commit, "siblings": listed})
            elif verb == "tree":
                rows = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in files.items()
                ]
                self._send(200, rows)
            elif verb == "preupload":
                names = [one["path"] for one in json.loads(content)["files"]]
                modes = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
                self._send(200, {"files": modes})
            elif verb == "commit":
                changed = dict(files)
                for line in map(json.loads, content.splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        changed[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "deletedFile":
                        del changed[value["path"]]
                digest = repository.commit(changed)
                address = f"{hub.address}/{found[1]}/commit/{digest}"
                self._send(200, {"commitUrl": address, "commitOid": digest, "success": True})
            elif found[4] in files:
                data = files[found[4]]
                etag = f'"{hashlib.sha1(data).hexdigest()}"'
                self._send(200, data, {"X-Repo-Commit": commit, "ETag": etag})
            else:
                self._send(404, {}, {"X-Error-Code": "EntryNotFound"})

        def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(cache / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
