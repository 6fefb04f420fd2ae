"""Just enough of a W&B server, on the loopback interface, to see what an online run sends."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Keeps one run: its history by line number, its last summary, and how often a line was sent again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.history: dict[int, dict[str, Any]] = {}
        self.summary: dict[str, Any] = {}
        self.repeated = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def receive(self, files: dict[str, Any]) -> None:
        """Takes a piece of a run's files: lines from an offset on."""
        lines = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
        for number, line in enumerate(lines["content"], start=lines["offset"]):
            self.repeated += number in self.history
            self.history[number] = json.loads(line)
        if "wandb-summary.json" in files:
            self.summary = json.loads(files["wandb-summary.json"]["content"][-1])

    def answer(self, query: str) -> dict[str, Any] | None:
        """Answers the two queries that starting a run needs."""
        project = {"id": "project", "name": "asr", "entity": {"id": "entity", "name": "someone"}}
        tail = [json.dumps(self.history[max(self.history)])] if self.history else []
        run = {
            "id": "run",
            "name": "run",
            "displayName": "run",
            "config": "{}",
            "project": project,
            "summaryMetrics": json.dumps(self.summary),
            "logLineCount": 0,
            "historyLineCount": len(self.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps(tail),
            "eventsTail": "[]",
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }
        if "RunResumeStatus" in query:
            return {"model": {**project, "bucket": run if self.history else None}}
        if "UpsertBucket" in query:
            return {"upsertBucket": {"bucket": run, "inserted": not self.history}}
        return None


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        reply: dict[str, Any] = {}
        if self.path.endswith("/file_stream"):
            self.server.receive(json.loads(body).get("files", {}))
        elif self.path == "/graphql":
            data = self.server.answer(json.loads(body)["query"])
            reply = {"data": data} if data else {"errors": [{"message": "unknown"}]}
        self._reply(reply)

    def do_GET(self) -> None:
        self._reply({})

    def _reply(self, reply: dict[str, Any]) -> None:
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def wandb_server() -> Iterator[Server]:
    """A server at work."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
