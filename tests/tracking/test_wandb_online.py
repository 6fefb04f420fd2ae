"""The real client of Weights & Biases against a stand-in of its server: what arrives, and what trouble costs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from asr.tracking.metrics import read_metrics
from tests.helpers.offline_runs import PATIENCE, offline_parts, without_own_keys
from tests.helpers.tracked import no_login, train_apart  # noqa: F401  a fixture among them
from tests.helpers.wandb_server import Server, wandb_server

pytestmark = pytest.mark.usefixtures("no_login")

ROOT = Path(__file__).parents[2]

EVERYTHING = """
import sys
from pathlib import Path
import numpy as np
from asr.scoring.error_rates import score_texts
from asr.tracking.metrics import panel_row
from asr.tracking.wandb_media import WorstUtterance
from tests.helpers.tracked import open_tracker, train

folder, mode = Path(sys.argv[1]), sys.argv[2]
with open_tracker(folder, mode=mode) as tracker:
    tracker.uses_manifests([folder / "yesno" / "train.jsonl"])
    train(tracker, 0, 10)
    tracker.panel(panel_row(10, 2, [score_texts("an4-1", "fjlp", 0.1, "YES", "NO")]))
    tracker.summary({"test/wer": 0.07})
    tracker.worst_utterances(
        [WorstUtterance(score_texts("an4-1", "fjlp", 0.1, "YES", "NO"), np.zeros(800, np.float32), 8000)]
    )
    tracker.model("model-lstm", folder / "model", {"dev_wer": 0.1})
    tracker.alert("finished", "Best dev WER 10 %")
with open_tracker(folder / "evaluation", mode=mode) as tracker:
    tracker.uses_model("model-lstm", folder / "model")
"""

TROUBLE = """
import sys
from pathlib import Path
from asr.scoring.error_rates import score_texts
from asr.tracking import tracker as tracking, wandb_run
from asr.tracking.metrics import panel_row
from tests.helpers.tracked import open_tracker

wandb_run.FINISH_SECONDS = tracking.HURRY_SECONDS = 2.0
tracking.PANEL_SECONDS = 0.0
folder = Path(sys.argv[1])
tracker = open_tracker(folder, mode="auto")
tracker.log(1, 1, 1, {"train/loss": 1.0})
print("trains", flush=True)
sys.stdin.readline()
for step in range(2, 102):
    tracker.log(step, step, step, {"train/loss": 1.0})
    if step % 10 == 0:
        tracker.panel(panel_row(step, step, [score_texts("an4-1", "fjlp", 0.1, "YES", str(step))]))
        tracker.model("model-lstm", folder / "model", {})
        tracker.alert(str(step), "text")
print(tracker.backlog, flush=True)
tracker.finish(hurry=True)
print("ended", flush=True)
import os
os._exit(0)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with wandb_server() as server:
        yield server


def environment(server: Server) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "WANDB_API_KEY": "k" * 40, "WANDB_BASE_URL": server.url}


def run_python(code: str, arguments: Sequence[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sync(part: Path, server: Server) -> None:
    _sync([part], server)


def sync_all(folder: Path, server: Server) -> None:
    """As a training prints it."""
    _sync(offline_parts(folder), server)


def _sync(parts: Sequence[Path], server: Server) -> None:
    command = [sys.executable, "-m", "wandb", "sync", *map(str, parts)]
    done = subprocess.run(
        command, env=environment(server), capture_output=True, text=True, cwd=parts[0].parent, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with a manifest and a model."""
    for path in (tmp_path / "run" / "yesno" / "train.jsonl", tmp_path / "run" / "model" / "config.yaml"):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"file": path.name}) + "\n")
    return tmp_path / "run"


def assert_everything_arrived(server: Server, folder: Path) -> None:
    run, evaluation = ((path / "wandb_id").read_text() for path in (folder, folder / "evaluation"))
    assert set(server.runs) == {run, evaluation}
    assert [without_own_keys(row) for _, row in sorted(server.histories[run].items())] == read_metrics(folder)
    summary = server.summaries[run]
    assert summary["dev/wer"] == {"min": 0.1} and summary["test/wer"] == 0.07
    assert server.runs[run]["jobType"] == "train" and set(server.runs[run]["tags"]) == {"yesno", "quick"}
    assert server.exit_codes[run] == 0
    made = {(one.kind, one.name.removeprefix(f"run-{run}-").split("-")[0]): one for one in server.artifacts}
    assert set(made) == {
        ("manifest", "manifest"),
        ("model", "model"),
        ("run_table", "worst_utterances"),
        ("run_table", "devpanel"),
    }
    assert all(one.committed for one in made.values())
    assert set(made["manifest", "manifest"].used_by) == {run}
    model = made["model", "model"]
    assert run in model.made_by and set(model.used_by) == {evaluation} and model.metadata == {"dev_wer": 0.1}
    assert server.files[f"artifacts/{model.id}/config.yaml"] == (folder / "model" / "config.yaml").read_bytes()
    table = json.loads(server.files[f"files/{run}/{summary['dev/panel']['path']}"])
    assert table["data"] == [[2, 10, "an4-1", "YES", "NO", 1.0]]
    kinds = {
        Path(name).suffix
        for name in server.files
        if name.startswith(f"artifacts/{made['run_table', 'worst_utterances'].id}/")
    }
    assert kinds == {".html", ".wav", ".json"}
    assert [alert["title"] for alert in server.alerts] == ["yesno lstm: finished"]
    assert server.repeated == 0


def test_everything_of_an_online_run_arrives(server: Server, folder: Path) -> None:
    run_python(EVERYTHING, [str(folder), "auto"], environment(server))
    assert_everything_arrived(server, folder)


def test_everything_of_an_offline_run_arrives_by_one_sync(server: Server, folder: Path) -> None:
    run_python(EVERYTHING, [str(folder), "offline"], os.environ | {"PYTHONPATH": str(ROOT)})
    assert server.runs == {}
    for path in (folder, folder / "evaluation"):
        sync_all(path, server)
    assert_everything_arrived(server, folder)


def test_a_killed_and_resumed_training_is_one_run(server: Server, tmp_path: Path) -> None:
    train_apart(tmp_path, 0, 13, kill=True, server=server)
    train_apart(tmp_path, 10, 20, server=server)
    assert list(server.runs) == [(tmp_path / "wandb_id").read_text()]
    rows = [without_own_keys(row) for _, row in sorted(server.history.items())]
    assert rows == read_metrics(tmp_path)
    assert server.summary["dev/wer"] == {"min": 1 / 20}


@pytest.mark.slow
def test_the_best_value_is_that_of_all_pieces_of_a_resumed_run(server: Server, tmp_path: Path) -> None:
    log = "from pathlib import Path; import sys; from tests.helpers.tracked import open_tracker\n"
    log += "with open_tracker(Path(sys.argv[1]), int(sys.argv[2]), mode='auto') as tracker:\n"
    log += "    tracker.log(int(sys.argv[2]) + 1, 1, 1, {'dev/wer': float(sys.argv[3])})"
    for step, wer in enumerate(("0.5", "0.1", "0.3")):
        run_python(log, [str(tmp_path), str(step), wer], environment(server))
    assert len(server.history) == 3
    assert server.summary["dev/wer"] == {"min": 0.1}


@pytest.mark.parametrize("between", ["killed", "synced", "kept"])
def test_an_offline_run_in_two_pieces_is_one_run_after_sync(server: Server, tmp_path: Path, between: str) -> None:
    train_apart(tmp_path, 0, 13, kill=between == "killed")
    if between == "synced":
        sync(tmp_path / "wandb" / "latest-run", server)  # the second sync must add, and repeat nothing
    train_apart(tmp_path, 10, 20)
    sync_all(tmp_path, server)
    assert list(server.runs) == [(tmp_path / "wandb_id").read_text()]
    rows = [without_own_keys(row) for _, row in sorted(server.history.items())]
    assert rows == read_metrics(tmp_path)
    assert server.repeated == 0


ORDER = """
import os, signal, sys
from pathlib import Path
from asr.tracking.metrics import read_metrics
from tests.helpers.tracked import open_tracker, train

folder = Path(sys.argv[1])
for action in sys.argv[2].split():
    kind, _, text = action.partition(":")
    step = 0 if kind in ("train", "kill") else read_metrics(folder)[-1]["step"]
    with open_tracker(folder, step) as tracker:
        if kind in ("train", "kill", "resume"):
            tracker.uses_manifests([folder / "yesno" / "train.jsonl"])
            train(tracker, step, 20 if kind == "resume" else 10)
            tracker.alert("collapse", "dev WER is still 100 %")
            tracker.model("model-lstm", folder / "model", {"steps": step})
        if kind == "kill":
            tracker._wandb._background.settle(60)
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "evaluate":
            tracker.summary({f"{text}/wer": 0.07})
            tracker.show_table(f"{text}/utterances", ["id"], [[text]])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "order",
    [
        ["train evaluate:test evaluate:test/beam"],
        ["train resume evaluate:test evaluate:test"],
        ["train", "resume evaluate:test", "evaluate:test/beam"],
        ["kill", "train evaluate:test", "evaluate:test/beam evaluate:train"],
    ],
)
def test_no_piece_of_an_offline_run_is_lost(server: Server, folder: Path, order: list[str]) -> None:
    for actions in order:
        command = [sys.executable, "-c", ORDER, str(folder), actions]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=actions != "kill", timeout=PATIENCE)
    sync_all(folder, server)
    (run,) = server.runs
    assert [without_own_keys(row) for _, row in sorted(server.history.items())] == read_metrics(folder)
    assert server.repeated == 0
    evaluated = {text for action in " ".join(order).split() if (text := action.partition(":")[2])}
    assert server.summary["dev/wer"] == {"min": read_metrics(folder)[-1]["dev/wer"]}
    assert server.summary["train/loss"] == read_metrics(folder)[-2]["train/loss"]
    for text in evaluated:
        assert server.summary[f"{text}/wer"] == 0.07
        table = json.loads(server.files[f"files/{run}/{server.summary[f'{text}/utterances']['path']}"])
        assert table["data"] == [[text]]
    assert [alert["text"] for alert in server.alerts] == ["dev WER is still 100 %"]
    made = {one.kind: one for one in server.artifacts}
    assert {"manifest", "model"} <= set(made) and all(one.committed for one in made.values())


@pytest.mark.slow
def test_a_run_with_pieces_to_upload_stays_offline_and_says_so(server: Server, tmp_path: Path) -> None:
    train_apart(tmp_path, 0, 13)
    said = train_apart(tmp_path, 10, 20, server=server)
    assert server.runs == {} and f"wandb sync {tmp_path}/wandb/offline-run-*" in said
    sync_all(tmp_path, server)
    train_apart(tmp_path, 20, 25, server=server)
    assert [without_own_keys(row) for _, row in sorted(server.history.items())] == read_metrics(tmp_path)
    assert server.repeated == 0


@pytest.mark.slow
def test_empty_counts_of_a_power_cut_do_not_stop_a_run(tmp_path: Path) -> None:
    train_apart(tmp_path, 0, 3, kill=False)
    (part,) = offline_parts(tmp_path)
    for path in (tmp_path / "wandb_uploaded", part / "rows", tmp_path / "wandb_id"):
        path.write_text("")
    train_apart(tmp_path, 3, 5)
    assert len(read_metrics(tmp_path)) == 6 and (tmp_path / "wandb_id").read_text()


@pytest.mark.parametrize("trouble", ["gone", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("500", "slow"))])
def test_a_server_in_trouble_costs_no_step(trouble: str, server: Server, folder: Path) -> None:
    command = [sys.executable, "-c", TROUBLE, str(folder)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(server), text=True, **pipes) as training:
        assert training.stdout is not None and training.stdout.readline() == "trains\n"
        server.trouble = trouble
        printed, complaints = training.communicate("\n", timeout=PATIENCE)
    assert training.returncode == 0, complaints
    waiting, ended = printed.split()
    assert ended == "ended"
    assert len(read_metrics(folder)) == 101
    assert server.refused > 0, "the client did not meet the trouble"
    assert int(waiting) > 0, "the steps waited for the server"
