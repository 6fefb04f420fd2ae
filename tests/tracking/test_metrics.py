"""Metrics on disk, and the same ones, each once, in Weights & Biases, whatever happens to the process."""

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from unittest.mock import MagicMock

import numpy as np
import pytest
import soundfile
import wandb

from asr.common.errors import ConfigError, RunError
from asr.scoring.error_rates import score_texts
from asr.tracking.metrics import metrics_path, read_metrics
from asr.tracking.tracker import NullTracker, Tracker
from asr.tracking.wandb_media import WorstUtterance
from asr.tracking.wandb_start import start
from tests.helpers.offline_runs import PATIENCE, history, offline_parts, records, without_own_keys
from tests.helpers.tracked import no_login, open_tracker, summary, train, train_apart  # noqa: F401  a fixture among them
from tests.helpers.wandb_server import wandb_server

pytestmark = pytest.mark.usefixtures("no_login")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name.startswith("asr.")]


def test_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    with open_tracker(tmp_path, mode="disabled") as tracker:
        tracker.log(1, 0.5, 2.0, {"train/loss": 0.25})
        assert read_metrics(tmp_path) == [{"step": 1, "epoch": 0.5, "seconds": 2.0, "train/loss": 0.25}]


def test_resuming_drops_the_rows_of_later_steps_and_a_torn_line(tmp_path: Path) -> None:
    with open_tracker(tmp_path, mode="disabled") as tracker:
        train(tracker, 0, 12)
    whole = read_metrics(tmp_path)
    with metrics_path(tmp_path).open("a") as file:
        file.write('{"step": 13, "epo')
    assert read_metrics(tmp_path) == whole
    with open_tracker(tmp_path, step=10, mode="disabled") as tracker:
        assert read_metrics(tmp_path) == whole[:12]
        train(tracker, 10, 12)
    assert read_metrics(tmp_path) == whole


def test_beginning_anew_drops_all_rows(tmp_path: Path) -> None:
    with open_tracker(tmp_path, mode="disabled") as tracker:
        tracker.log(0, 0.0, 0.0, {"data/hours": 1.0})
    with open_tracker(tmp_path, step=0, mode="disabled"):
        assert read_metrics(tmp_path) == []


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    row = '{"step": 1, "epoch": 1, "seconds": 1}\n'
    metrics_path(tmp_path).write_text(f"{row}rubbish\n{row}")
    with pytest.raises(RunError, match=r"Line 2 of .*metrics\.jsonl"):
        open_tracker(tmp_path, step=3)


def test_a_killed_and_resumed_offline_run_holds_each_row_once(tmp_path: Path) -> None:
    train_apart(tmp_path, 0, 13, kill=True)
    killed = offline_parts(tmp_path)
    run_id = (tmp_path / "wandb_id").read_text()
    said = train_apart(tmp_path, 10, 20)
    assert [row["step"] for row in read_metrics(tmp_path) if "train/loss" in row] == list(range(1, 21))
    assert [row["step"] for row in read_metrics(tmp_path) if "dev/wer" in row] == [5, 10, 15, 20]
    assert history(tmp_path) == read_metrics(tmp_path)
    assert len(killed) == 1
    assert killed[0] not in offline_parts(tmp_path)
    assert [run["run_id"] for run in records(tmp_path, "run")] == [run_id]
    newest = tmp_path / "wandb" / "latest-run"
    assert f"wandb sync {newest.parent}/offline-run-*" in said and newest.resolve() == offline_parts(tmp_path)[0]


def test_a_resumed_online_run_sends_each_row_once(tmp_path: Path) -> None:
    with wandb_server() as server:
        train_apart(tmp_path, 0, 13, server=server)
        assert len(server.history) == 15
        said = train_apart(tmp_path, 10, 20, server=server)
        assert [without_own_keys(row) for _, row in sorted(server.history.items())] == read_metrics(tmp_path)
        assert server.repeated == 0
        assert server.url in said


def test_an_offline_run_gone_online_sends_everything(tmp_path: Path) -> None:
    with wandb_server() as server:
        train_apart(tmp_path, 0, 13, kill=True)
        train_apart(tmp_path, 10, 20, server=server)
        assert [without_own_keys(row) for _, row in sorted(server.history.items())] == read_metrics(tmp_path)
        assert offline_parts(tmp_path) == []


def test_a_run_carries_configuration_summary_table_with_audio_and_model(tmp_path: Path) -> None:
    waveform = np.sin(np.arange(800, dtype=np.float32) / 10)
    row = WorstUtterance(score_texts("an4-1", "fjlp", 0.1, "YES <NO>", "YES"), waveform, 8000)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.yaml").write_text("layers: 3\n")
    with open_tracker(tmp_path) as tracker:
        train(tracker, 0, 1)
        tracker.summary({"test/wer": 0.07, "hardware": "cpu"})
        tracker.worst_utterances([row])
        tracker.model("model-lstm", model, {"dev_wer": 0.1})
    (run,) = records(tmp_path, "run")
    assert run["config"]["update"].items() >= {"recipe": "yesno", "seed": 1, "model": {"cells": ["lstm"]}}.items()
    assert run["tags"] == ["yesno", "quick"]
    assert [record["exit_code"] for record in records(tmp_path, "exit")] == [0]
    assert summary(tmp_path).items() >= {"test/wer": 0.07, "hardware": "cpu"}.items()
    artifacts = {artifact["type"]: artifact["manifest"]["contents"] for artifact in records(tmp_path, "artifact")}
    assert [content["local_path"] for content in artifacts["model"]] == [str(model / "config.yaml")]
    files = {Path(content["path"]).suffix: Path(content["local_path"]) for content in artifacts["run_table"]}
    assert all(file.is_relative_to(tmp_path / "wandb") for file in files.values())
    audio, rate = soundfile.read(files[".wav"])
    assert rate == 8000
    np.testing.assert_allclose(audio, waveform, atol=1e-4)
    table = json.loads(files[".json"].read_text())
    shown = dict(zip(table["columns"], table["data"][0], strict=True))
    assert (shown["id"], shown["speaker"], shown["wer"]) == ("an4-1", "fjlp", 0.5)
    assert (shown["reference"], shown["hypothesis"]) == ("YES <NO>", "YES")
    assert shown["audio"]["_type"] == "audio-file"
    assert "&lt;NO&gt;<br>&nbsp;<br><b>\u2212</b>" in files[".html"].read_text()
    assert history(tmp_path) == read_metrics(tmp_path)


def test_a_resumed_offline_run_keeps_the_summary(tmp_path: Path) -> None:
    with open_tracker(tmp_path) as tracker:
        train(tracker, 0, 2)
        tracker.summary({"test/wer": 0.07})
    with open_tracker(tmp_path, step=2) as tracker:
        tracker.summary({"test/cer": 0.02})
    assert summary(tmp_path).items() >= {"test/wer": 0.07, "test/cer": 0.02}.items()


def shift_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + seconds)


@pytest.mark.slow
def test_parts_of_a_run_are_in_their_order_where_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, shift in enumerate((0, -3600, 86400, -90000)):
        shift_clock(monkeypatch, shift)
        with open_tracker(tmp_path, step=number) as tracker:
            train(tracker, number, number + 1)
            tracker.summary({"test/wer": 1 / (number + 1)})
        for path in tmp_path.rglob("summary.json"):
            os.utime(path, (0, 0))  # as after a copy
    assert [int((part / "rows").read_text()) for part in offline_parts(tmp_path)] == [1, 2, 3, 4]
    with open_tracker(tmp_path, step=4):
        pass
    assert summary(tmp_path)["test/wer"] == 1 / 4


AUTUMN = 1_792_888_200
"""2026-10-25, half past two of summer time in Berlin."""


@pytest.mark.parametrize(
    ("begins", "names"),
    [
        ((AUTUMN, AUTUMN + 5), ["023000", "023005"]),
        ((AUTUMN, AUTUMN), ["023000", "023001"]),
        ((AUTUMN, AUTUMN - 3600, AUTUMN + 86400 * 9, AUTUMN - 86400), ["023000", "023001", "013000", "013001"]),
        ((AUTUMN, AUTUMN + 2400, AUTUMN + 6000), ["023000", "023001", "031000"]),
    ],
    ids=["forward", "the same second", "set back", "end of summer time"],
)
def test_a_part_is_named_behind_those_before_it(
    begins: tuple[int, ...],
    names: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    parts: list[Path] = []

    def init(**arguments: Any) -> Any:
        parts.append(tmp_path / f"offline-run-{datetime.fromtimestamp(time.time()):%Y%m%d_%H%M%S}-id")
        return MagicMock()

    monkeypatch.setattr(wandb, "init", init)
    for begin in begins:
        monkeypatch.setattr(time, "time", lambda begin=begin: begin)
        start("offline", "id", {}, parts)
        assert time.time() == begin
    assert [part.name[21:27] for part in parts] == names and parts == sorted(parts)


def test_the_model_is_no_artifact_where_not_wanted(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with open_tracker(tmp_path, upload_model=False) as tracker:
        tracker.model("model-lstm", tmp_path / "model", {})
    assert records(tmp_path, "artifact") == []


def test_a_failed_training_is_marked_as_failed(tmp_path: Path) -> None:
    def fail() -> None:
        with open_tracker(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [exit["exit_code"] for exit in records(tmp_path, "exit")] == [1]


def test_a_run_that_cannot_start_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wandb, "init", broken)
    with open_tracker(tmp_path) as tracker:
        train(tracker, 0, 3)
        tracker.summary({"test/wer": 0.07})
    assert warnings(caplog) == ["Weights & Biases could not be started offline: OSError: disk quota exceeded"]
    assert len(read_metrics(tmp_path)) == 3
    assert str(metrics_path(tmp_path)) in tracker.where()
    assert tracker.follow() == f"To follow the training: `asr report {tmp_path} -o report --serve`."


def test_a_service_that_an_ended_process_left_behind_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SERVICE", f"3-1-unix-{tmp_path / 'gone'}")
    train_apart(tmp_path, 0, 3)
    assert history(tmp_path) == read_metrics(tmp_path)


def test_a_failure_underway_is_reported_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with open_tracker(tmp_path) as tracker:
        train(tracker, 0, 2)
        monkeypatch.setattr(wandb.Run, "log", broken)
        train(tracker, 2, 4)
        tracker.summary({"test/wer": 0.07})
    (warning,) = warnings(caplog)
    assert "not used from here on: OSError: disk quota exceeded" in warning
    assert len(read_metrics(tmp_path)) == 4
    assert str(metrics_path(tmp_path)) in tracker.where()


def test_an_online_run_without_network_goes_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def init(*, mode: Literal["online", "offline"], **arguments: Any) -> wandb.Run:
        return broken() if mode == "online" else real(mode=mode, **arguments)

    real = wandb.init
    monkeypatch.setattr(wandb, "init", init)
    with open_tracker(tmp_path, mode="online") as tracker:
        newest = tmp_path / "wandb" / "latest-run"
        assert newest.is_dir()
        assert f"`wandb leet {newest}`, or `asr report {tmp_path} -o report --serve`" in tracker.follow()
        train(tracker, 0, 2)
    assert history(tmp_path) == read_metrics(tmp_path)
    assert len(warnings(caplog)) == 1
    assert "wandb sync" in tracker.where()


def broken(*args: Any, **kwargs: Any) -> Any:
    raise OSError("disk quota\nexceeded")


def test_a_disabled_run_does_not_even_import_wandb(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from asr.settings.tracker import TrackerConfig, TrackerMode
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job
config = TrackerConfig(TrackerMode.disabled, "asr", None, None, None, [], None, None, 10, 30, True, [])
with Tracker(Path(sys.argv[1]), config, Job("a", "b", {}, "train")) as tracker:
    tracker.log(1, 0.1, 1.0, {"train/loss": 1.0})
assert "wandb" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=PATIENCE)
    assert len(read_metrics(tmp_path)) == 1


@pytest.mark.parametrize("mode", ["auto", "offline"])
def test_the_environment_decides_under_auto_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with open_tracker(tmp_path, mode=mode) as tracker:
        train(tracker, 0, 1)
    assert len(offline_parts(tmp_path)) == (mode == "offline")


def test_an_unknown_mode_in_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(ConfigError, match="WANDB_MODE=sometimes"):
        open_tracker(tmp_path, mode="auto")


def test_other_ranks_track_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Tracker.silent() as tracker:
        assert isinstance(tracker, NullTracker)
        train(tracker, 0, 5)
        tracker.summary({"test/wer": 0.07})
        tracker.model("model-lstm", tmp_path, {})
    assert list(tmp_path.iterdir()) == []
