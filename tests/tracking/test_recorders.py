"""TensorBoard and MLflow get what Weights & Biases gets, each row once, and may fail."""

import logging
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from asr.common.errors import ConfigError
from asr.scoring.error_rates import score_texts
from asr.settings.tracker import Recorder
from asr.tracking.metrics import read_metrics
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_media import WorstUtterance
from tests.helpers.tracked import open_tracker, train

START_SECONDS = 300.0
"""Of MLflow's server on a busy machine, whose database is made first."""


def report(tracker: Tracker, folder: Path) -> None:
    """What a training and its evaluation show besides rows."""
    picture = folder / "picture.png"
    matplotlib.image.imsave(picture, np.zeros((4, 6, 3)))
    tracker.alert("collapse", "dev WER is still 100 %")
    tracker.summary({"test/wer": 0.25})
    tracker.show_table("test/utterances", ["id", "reference"], [["u1", "YES | NO"]])
    tracker.show_pictures({"worst": picture})
    waveform = np.sin(np.arange(8000, dtype=np.float32))
    tracker.worst_utterances([WorstUtterance(score_texts("u1", "f1", 1.0, "YES NO", "NO"), waveform, 8000)])


def train_with_a_stop(folder: Path, recorder: Recorder) -> dict[int, float]:
    """Trains to step 12, resumes from step 10, and is evaluated later; gives what metrics.jsonl has of dev WER."""
    for start, end in ((0, 12), (10, 20)):
        tracker = open_tracker(folder, start, mode="disabled", also=[recorder])
        train(tracker, start, end)
        tracker.finish(exit_code=1 if start == 0 else 0)
    with open_tracker(folder, 20, mode="disabled", also=[recorder]) as tracker:
        report(tracker, folder)
    return {row["step"]: row["dev/wer"] for row in read_metrics(folder) if "dev/wer" in row}


def test_tensorboard_has_each_row_once_and_the_rest(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    expected = train_with_a_stop(tmp_path, Recorder.tensorboard)
    events: Any = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {one.step: one.value for one in events.Scalars("dev/wer")} == pytest.approx(expected)
    assert [one.step for one in events.Scalars("train/loss")] == list(range(1, 21))
    assert [one.value for one in events.Scalars("test/wer")] == [0.25]
    tags = events.Tags()
    assert tags["images"] == ["worst"] and tags["audio"] == ["worst_utterances/u1"]
    texts = {tag.removesuffix("/text_summary") for tag in tags["tensors"]}
    assert texts == {"config", "alert/collapse", "test/utterances", "worst_utterances"}
    (table,) = events.Tensors("test/utterances/text_summary")
    assert table.tensor_proto.string_val[0].decode() == "| id | reference |\n| --- | --- |\n| u1 | YES \\| NO |\n"


def test_one_that_is_added_later_gets_the_rows_from_the_beginning(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with open_tracker(tmp_path, mode="disabled") as tracker:
        train(tracker, 0, 10)
    with open_tracker(tmp_path, 10, mode="disabled", also=[Recorder.tensorboard]) as tracker:
        train(tracker, 10, 15)
    events: Any = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [one.step for one in events.Scalars("dev/wer")] == [5, 10, 15]


def test_one_that_fails_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = pytest.importorskip("asr.tracking.tensorboard")
    monkeypatch.setattr(module.TensorBoardRun, "row", lambda *_: 1 / 0)
    with (
        caplog.at_level(logging.WARNING),
        open_tracker(tmp_path, mode="disabled", also=[Recorder.tensorboard]) as tracker,
    ):
        train(tracker, 0, 10)
    assert [record.getMessage() for record in caplog.records] == [
        "TensorBoard failed and is not used from here on: ZeroDivisionError: division by zero"
    ]
    assert len(read_metrics(tmp_path)) == 12


def test_mlflow_needs_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match="set MLFLOW_TRACKING_URI"):
        open_tracker(tmp_path, mode="disabled", also=[Recorder.mlflow])


@pytest.fixture
def mlflow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("mlflow.server", reason="MLflow's server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", f"--port={port}", "--host=127.0.0.1", "--workers=1"]
    places = [f"--backend-store-uri=sqlite:///{tmp_path}/mlflow.db", f"--artifacts-destination={tmp_path}/artifacts"]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with (tmp_path / "server.log").open("wb") as output:
        server = subprocess.Popen(
            [*command, *places], cwd=tmp_path, stdout=output, stderr=output, start_new_session=True
        )
    try:
        for _ in range(int(START_SECONDS)):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=10)
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_mlflow_has_each_row_once_and_the_rest(tmp_path: Path, mlflow_server: str) -> None:
    from mlflow import MlflowClient

    expected = train_with_a_stop(tmp_path / "run", Recorder.mlflow)
    client = MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("asr")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "dev/wer")
    assert [(one.step, one.value) for one in history] == list(expected.items())
    assert [one.step for one in client.get_metric_history(run.info.run_id, "train/loss")] == list(range(1, 21))
    assert run.data.metrics["test/wer"] == 0.25 and run.data.params["model.cells"] == "['lstm']"
    assert run.data.tags["recipe"] == "yesno" and run.info.status == "FINISHED" and run.info.run_name == "lstm"
    files = {
        one.path
        for folder in ("", "alert", "test", "figures", "worst_utterances")
        for one in client.list_artifacts(run.info.run_id, folder)
    }
    assert {"alert/collapse.txt", "test/utterances.csv", "figures/picture.png", "worst_utterances/u1.wav"} <= files


@pytest.mark.slow
def test_a_server_that_is_gone_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING), open_tracker(tmp_path, mode="disabled", also=[Recorder.mlflow]) as tracker:
        train(tracker, 0, 10)
    assert [record.getMessage()[:44] for record in caplog.records] == ["MLflow failed and is not used from here on: "]
    assert len(read_metrics(tmp_path)) == 12
