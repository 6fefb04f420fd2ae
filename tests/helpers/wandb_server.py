"""Just enough of a W&B server, on the loopback interface, to see what real clients send."""

import gzip
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER = {
    "id": "user",
    "name": "someone",
    "username": "someone",
    "entity": "someone",
    "email": "someone@example.org",
    "admin": False,
    "flags": "{}",
    "teams": {"edges": []},
}
PROJECT = {"id": "project", "internalId": "project", "name": "asr", "entity": {"id": "entity", "name": "someone"}}


@dataclass
class Stored:
    """An artifact, a version of which is made whenever its content is new."""

    id: str
    kind: str
    name: str
    digest: str
    run: str
    aliases: list[str]
    metadata: dict[str, Any]
    used_by: list[str] = field(default_factory=list)
    made_by: list[str] = field(default_factory=list)
    committed: bool = False


@dataclass
class Sweep:
    """A sweep of one run."""

    command: list[str]
    """What an agent starts."""
    arguments: dict[str, Any]
    """Of the run, by key, each as {"value": ...}."""
    run: str = "drawn123"
    starts: int = 0


class Server(ThreadingHTTPServer):
    """Keeps runs: their history by line number, the last summary, and how often a line was sent again.

    While `trouble` is "500" every request fails, while it is "slow" each takes a second, and while it is "gone" none
    is answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, dict[str, Any]] = {}
        """The settings of every run by its id, as they were sent last."""
        self.histories: dict[str, dict[int, dict[str, Any]]] = {}
        self.summaries: dict[str, dict[str, Any]] = {}
        self.exit_codes: dict[str, int] = {}
        self.preempting: set[str] = set()
        self.sweep: Sweep | None = None
        self.repeated = 0
        self.artifacts: list[Stored] = []
        self.files: dict[str, bytes] = {}
        """What was uploaded, by path."""
        self.alerts: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self.trouble: str | None = None
        self.refused = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may leave at any time."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def history(self) -> dict[int, dict[str, Any]]:
        """The history of the only run."""
        assert len(self.runs) <= 1, list(self.runs)
        return next(iter(self.histories.values()), {})

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of the only run."""
        assert len(self.runs) <= 1, list(self.runs)
        return next(iter(self.summaries.values()), {})

    def receive(self, run: str, sent: dict[str, Any]) -> None:
        """Takes a piece of a run's files: lines from an offset on."""
        files = sent.get("files") or {}
        lines = files.get("wandb-history.jsonl", {"offset": 0, "content": []})
        history = self.histories.setdefault(run, {})
        for number, line in enumerate(lines["content"], start=lines["offset"]):
            self.repeated += number in history
            history[number] = json.loads(line)
        if "wandb-summary.json" in files:
            self.summaries[run] = json.loads(files["wandb-summary.json"]["content"][-1])
        if sent.get("preempting"):
            self.preempting.add(run)
        if "exitcode" in sent:
            self.exit_codes[run] = sent["exitcode"]

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """Answers a GraphQL operation by its name."""
        name = re.search(r"(?:query|mutation)\s+(\w+)", query)
        method = getattr(self, f"_{name[1]}", None) if name else None
        return method(variables) if method else None

    def _Viewer(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802  these are named as the queries
        return {"viewer": USER}

    _GetDefaultEntity = _GetViewer = _Viewer

    def _ServerFeaturesQuery(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        known = variables["name"] in self.runs
        return {"model": {**PROJECT, "bucket": self._bucket(variables["name"]) if known else None}}

    def _UpsertBucket(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run, known = variables["name"], variables["name"] in self.runs
        told = {key: value for key, value in variables.items() if value is not None}
        self.runs[run] = self.runs.get(run, {}) | told
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": not known}}

    def _SweepWithRuns(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert self.sweep is not None
        config = json.dumps({"command": self.sweep.command})
        return {"project": {"sweep": {"id": "sweep", "name": "sweep", "config": config, "runs": {"edges": []}}}}

    def _CreateAgent(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"createAgent": {"agent": {"id": "agent"}}}

    def _Heartbeat(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Hands out one run, again as long as it was preempted, and then ends the agent."""
        assert self.sweep is not None
        command: dict[str, Any] | None = None
        if not self.sweep.starts:
            command = {"type": "run"}
        elif self.sweep.run in self.exit_codes and not json.loads(variables["runState"]):
            preempted = self.sweep.run in self.preempting and self.exit_codes[self.sweep.run] != 0
            command = {"type": "resume" if preempted else "exit"}
        if command is not None and command["type"] != "exit":
            self.sweep.starts += 1
            self.exit_codes.pop(self.sweep.run, None)
            self.preempting.discard(self.sweep.run)
            command |= {"run_id": self.sweep.run, "program": "", "args": self.sweep.arguments}
        commands = [] if command is None else [command]
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}

    def _bucket(self, run: str) -> dict[str, Any]:
        history = self.histories.get(run, {})
        tail = [json.dumps(history[max(history)])] if history else []
        return {
            "id": run,
            "name": run,
            "displayName": self.runs[run].get("displayName"),
            "description": None,
            "sweepName": None,
            "config": "{}",
            "project": PROJECT,
            "summaryMetrics": json.dumps(self.summaries.get(run, {})),
            "logLineCount": 0,
            "historyLineCount": len(history),
            "eventsLineCount": 0,
            "historyTail": json.dumps(tail),
            "eventsTail": "[]",
            "tags": [],
            "notes": None,
            "wandbConfig": '{"t": 1}',
        }

    def _CreateRunFiles(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = variables["run"]
        files = [{"name": name, "uploadUrl": f"{self.url}/files/{run}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}

    def _MarkRunFilesUploaded(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"markRunFilesUploaded": {"success": True}}

    def _NotifyScriptableRunAlert(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.alerts.append(variables)
        return {"notifyScriptableRunAlert": {"success": True}}

    def _CreateArtifact(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        sent = variables["input"]
        name, digest, run = sent["artifactCollectionName"], sent["digest"], sent.get("runName", "")
        known = [one for one in self.artifacts if (one.name, one.digest) == (name, digest)]
        if not known:
            metadata = json.loads(sent.get("metadata") or "{}")
            aliases = [one["alias"] for one in sent.get("aliases") or []]
            kind = sent["artifactTypeName"]
            made = Stored(f"artifact-{len(self.artifacts)}", kind, name, digest, run, aliases, metadata)
            self.artifacts.append(made)
            known = [made]
        state = "COMMITTED" if known[0].committed else "PENDING"
        if run not in known[0].made_by:
            known[0].made_by.append(run)
        latest = {"id": known[0].id, "versionIndex": 0} if known[0].committed else None
        sequence = {"id": f"sequence-{name}", "latestArtifact": latest}
        return {"createArtifact": {"artifact": {"id": known[0].id, "state": state, "artifactSequence": sequence}}}

    def _CreateArtifactManifest(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"createArtifactManifest": self._manifest(variables["artifactID"])}

    def _UpdateArtifactManifest(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"updateArtifactManifest": self._manifest(variables["artifactManifestID"].removeprefix("manifest-"))}

    def _manifest(self, artifact: str) -> dict[str, Any]:
        url = f"{self.url}/artifacts/{artifact}/manifest.json"
        file = {"id": f"file-{artifact}", "uploadUrl": url, "uploadHeaders": []}
        return {"artifactManifest": {"id": f"manifest-{artifact}", "file": file}}

    def _CreateArtifactFiles(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        edges = [
            {
                "node": {
                    "storagePath": f"artifacts/{one['artifactID']}/{one['name']}",
                    "uploadUrl": f"{self.url}/artifacts/{one['artifactID']}/{one['name']}",
                    "uploadHeaders": [],
                    "uploadMultipartUrls": None,
                    "artifact": {"id": one["artifactID"]},
                }
            }
            for one in variables["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stored = self._stored(variables["artifactID"])
        stored.committed = True
        return {"commitArtifact": {"artifact": {"id": stored.id, "digest": stored.digest}}}

    def _UseArtifact(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stored = self._stored(variables["input"]["artifactID"])
        stored.used_by.append(variables["input"]["runName"])
        return {"useArtifact": {"artifact": {"id": stored.id}}}

    def _stored(self, id: str) -> Stored:
        (stored,) = (one for one in self.artifacts if one.id == id)
        return stored

    def _UpsertView2(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        known = [view for view in self.views if view["id"] == variables.get("id")]
        view = known[0] if known else {"id": f"view-{len(self.views)}"}
        view |= {key: value for key, value in variables.items() if key != "id"}
        if not known:
            self.views.append(view)
        shown = {"id": view["id"], "name": view["name"], "displayName": view["displayName"], "type": view["type"]}
        shown |= {"description": "", "spec": view["spec"], "project": {**PROJECT, "entityName": "someone"}}
        return {"upsertView": {"view": shown, "inserted": not known}}

    _upsertView = _UpsertView2  # noqa: N815  the report's name for the same

    def _ProjectInternalId(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": PROJECT}

    def _GetProjects(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        edges = [
            {
                "cursor": "0",
                "node": {**PROJECT, "entityName": "someone", "createdAt": "", "isBenchmark": False, "user": None},
            }
        ]
        return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}

    def _ArtifactType(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": {"artifact": None}}


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self._in_trouble():
            return
        reply: dict[str, Any] = {}
        if self.path.endswith("/file_stream"):
            self.server.receive(self.path.split("/")[-2], json.loads(body))
        elif self.path == "/graphql":
            sent = json.loads(body)
            data = self.server.answer(sent["query"], sent.get("variables") or {})
            reply = {"data": data} if data else {"errors": [{"message": f"unknown: {sent['query'][:80]}"}]}
        self._reply(reply)

    def do_PUT(self) -> None:
        body = self._body()
        if not self._in_trouble():
            self.server.files[self.path.lstrip("/")] = body
            self._reply({})

    def do_GET(self) -> None:
        if not self._in_trouble():
            self._reply({})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        return gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body

    def _in_trouble(self) -> bool:
        trouble = self.server.trouble
        if trouble is None:
            return False
        self.server.refused += 1
        if trouble == "slow":
            time.sleep(1)
            return False
        if trouble == "500":
            self._reply({}, status=500)
        else:
            self.close_connection = True
        return True

    def _reply(self, reply: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(reply).encode()
        self.send_response(status)
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
