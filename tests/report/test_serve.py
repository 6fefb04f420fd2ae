"""`asr report --serve`: follows a training, and gives nothing but the page."""

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from asr.common.errors import ConfigError
from asr.report.page import Report, ReportOptions
from asr.report.serve import LOOPBACK, make_server
from asr.report.utterance_media import AudioChoice
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus


def report_of(tmp_path: Path) -> Report:
    return Report(
        ReportOptions(
            paths=[tmp_path / "runs" / "yesno"],
            folder=tmp_path / "report",
            audio=AudioChoice.embed,
            pictures=0,
            data=None,
            live=True,
        )
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    utterances = write_test_corpus(tmp_path / "data", ["YES", "NO"])
    run = write_run(tmp_path / "runs" / "yesno" / "lstm-1", tmp_path / "data", metrics_rows(2))
    evaluate(run, utterances, ["YES", "YES"])
    with make_server(report_of(tmp_path), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def get(
    server: ThreadingHTTPServer, path: str, host: str = LOOPBACK, method: str = "GET"
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", f"{host}:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def status(server: ThreadingHTTPServer) -> Any:
    return json.loads(get(server, "/status")[1])


def content(server: ThreadingHTTPServer) -> str:
    return get(server, "/data/report.js")[1].decode()


def test_only_this_machine_is_served(server: ThreadingHTTPServer) -> None:
    assert server.server_address[0] == LOOPBACK
    assert get(server, "/")[0].status == 200
    assert get(server, "/", host="localhost")[0].status == 200
    assert get(server, "/", host="evil.example")[0].status == 403
    assert get(server, "/status", host="evil.example")[0].status == 403


def test_the_page_its_data_and_its_audio_are_served(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (audio,) = (tmp_path / "report" / "audio").glob("*/0.flac")
    for path in ("/", "/index.html", "/assets/report.css", "/data/report.js", f"/audio/{audio.parent.name}/0.flac"):
        answer, body = get(server, path)
        assert answer.status == 200 and len(body) == int(answer.headers["Content-Length"]) > 0
        assert answer.headers["Cache-Control"] == "no-store"
        assert get(server, path, method="HEAD")[1] == b""


def test_nothing_else_is_served(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    report = tmp_path / "report"
    (report / "data" / "link.js").symlink_to(tmp_path / "secret.js")
    (tmp_path / "secret.js").write_text("secret")
    (report / "notes.txt").write_text("secret")
    for path in (
        "/../secret.js",
        "/%2e%2e/secret.js",
        "/..%2fsecret.js",
        "/data/../../secret.js",
        f"//{tmp_path}/secret.js",
        f"/{tmp_path}/secret.js",
        "/data/link.js",
        "/notes.txt",
        "/.asr-report",
        "/data/",
        "/data",
        "/%00",
        "/../runs/yesno/lstm-1/config.yaml",
    ):
        for method in ("GET", "HEAD"):
            answer, body = get(server, path, method=method)
            assert answer.status == 404 and b"secret" not in body, path
    assert get(server, "/", method="PUT")[0].status == 501


def post(server: ThreadingHTTPServer, body: bytes, path: str = "/notes", **headers: str) -> tuple[int, str]:
    """Sends a note, as the page does where no header says otherwise."""
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=60)
    sent = {"Content-Type": "application/json", "Origin": f"http://{LOOPBACK}:{server.server_port}"} | headers
    connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in sent.items()})
    answer = connection.getresponse()
    said = answer.status, answer.read().decode()
    connection.close()
    return said


def note(key: str, text: str, kind: str = "utterances") -> bytes:
    return json.dumps({"kind": kind, "key": key, "text": text}).encode()


def test_notes_are_kept_in_the_folder_and_in_the_page(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    for key, text in (("yesno/test/0", "cut off שלום"), ("yesno/test/1", "no"), ("yesno/test/1", "")):
        assert post(server, note(key, text)) == (200, "{}")
    assert post(server, note("yesno/lstm-1", "a baseline", "runs"))[0] == 200
    kept = {"runs": {"yesno/lstm-1": "a baseline"}, "utterances": {"yesno/test/0": "cut off שלום"}}
    assert json.loads((tmp_path / "report" / "notes.json").read_text(encoding="utf-8")) == kept
    assert "cut off שלום" in get(server, "/data/notes.js")[1].decode()
    report_of(tmp_path).build()
    assert "a baseline" in get(server, "/data/notes.js")[1].decode(), "another build keeps them"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (note("k", "t"), {"Origin": "http://evil.example"}, 403),
        (note("k", "t"), {"Host": "evil.example"}, 403),
        (note("k", "t"), {"Content_Type": "text/plain"}, 403),
        (note("k", "t" * 20_000), {}, 400),
        (note("k", "t", "models"), {}, 400),
        (b"[" * 50_000, {}, 400),
        (b"[1]", {}, 400),
    ],
)
def test_what_is_no_note_of_the_page_is_refused(
    server: ThreadingHTTPServer, tmp_path: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert post(server, body, **headers)[0] == status
    assert not (tmp_path / "report" / "notes.json").exists()


def test_a_large_request_is_not_read(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=60)
    connection.putrequest("POST", "/notes")
    for name, value in (("Content-Type", "application/json"), ("Content-Length", "10000000")):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_damaged_file_of_notes_is_not_replaced(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    path = tmp_path / "report" / "notes.json"
    path.write_text('{"runs": {"a": 3}}')
    status, sentence = post(server, note("k", "t"))
    assert status == 400 and sentence.endswith("notes.json has a note that is no text: correct or remove it.")
    assert path.read_text() == '{"runs": {"a": 3}}'
    assert post(server, note("k", "t"), path="/data/report.js")[0] == 404


def test_the_page_follows_a_training(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    first = status(server)
    assert first == status(server) and first["problem"] is None
    run = tmp_path / "runs" / "yesno" / "lstm-1"
    with (run / "metrics.jsonl").open("a") as rows:
        rows.write(json.dumps(metrics_rows(3)[-1]) + "\n")
    second = status(server)
    assert second["signature"] != first["signature"]
    assert f'"signature":"{second["signature"]}"' in content(server) and '"epoch":3.0' in content(server)


def test_a_new_run_appears(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    before = status(server)
    write_run(tmp_path / "runs" / "yesno" / "gru-1", tmp_path / "data", metrics_rows(1))
    assert status(server) != before
    assert '"name":"gru-1"' in content(server)


def test_a_damaged_run_leaves_the_page_as_it_was(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    before = content(server)
    (tmp_path / "runs" / "yesno" / "lstm-1" / "metrics.jsonl").write_text("no json\n")
    assert "is not a row of metrics" in status(server)["problem"]
    assert content(server) == before


def test_a_port_that_is_taken_is_named(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"Port {server.server_port} cannot be used"):
        make_server(report_of(tmp_path), server.server_port)
