"""Run folders that are not as they were written: a report names them and shows the others."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr.report.runs import Run
from tests.helpers.refusals import Capture, refused
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus
from tests.report.test_page import build

TEXTS = ["YES NO", "NO"]


def settings(line: str) -> Callable[[Path], None]:
    return lambda run: (run / "config.yaml").write_text((run / "config.yaml").read_text() + line + "\n") and None


def row(**values: Any) -> Callable[[Path], None]:
    return lambda run: (
        (run / "metrics.jsonl").write_text("".join(json.dumps(row | values) + "\n" for row in metrics_rows(2))) and None
    )


def replaced(path: str, **values: Any) -> Callable[[Path], None]:
    def replace(run: Path) -> None:
        (file,) = run.glob(path)
        lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
        file.write_text("".join(json.dumps(json.loads(line) | values) + "\n" for line in lines))

    return replace


def a_folder(name: str) -> Callable[[Path], None]:
    def make(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).mkdir()

    return make


RESULTS, LINES = "evaluation/*/*/results.json", "evaluation/*/*/hypotheses.jsonl"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    utterances = write_test_corpus(tmp_path / "data", TEXTS)
    for name in ("odd", "sound"):
        evaluate(write_run(tmp_path / "runs" / name, tmp_path / "data", metrics_rows(2)), utterances, ["YES", "NO"])
    return tmp_path / "runs"


@pytest.mark.parametrize(
    "spoil",
    [
        settings("seed: !!python/object:os.system {}"),
        row(**{"train/loss": "low"}),
        row(**{"dev/wer": 10**400}),
        row(step="one"),
        a_folder("metrics.jsonl"),
    ],
    ids=["tag", "text", "huge", "step", "folder"],
)
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_shown(
    runs: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(runs / "odd")
    content = build(runs, tmp_path / "report", "--audio", "none", "--pictures", "0")
    assert [run["name"] for run in content["runs"]] == ["sound"]
    assert [one["name"] for one in content["unreadable"]] == ["odd"]
    assert [one["run"] for one in content["evaluations"]] == [0]


@pytest.mark.parametrize(
    "spoil",
    [
        replaced(RESULTS, wer="0.5"),
        replaced(RESULTS, wer=10**400),
        replaced(RESULTS, unit=[]),
        replaced(LINES, reference=""),
        replaced(LINES, duration="long"),
        replaced(LINES, confidence="high"),
    ],
    ids=["text", "huge", "unit", "empty", "duration", "confidence"],
)
def test_an_evaluation_that_cannot_be_read_is_left_out(
    runs: Path, tmp_path: Path, spoil: Callable[[Path], None], capsys: Capture
) -> None:
    spoil(runs / "odd")
    content = build(runs, tmp_path / "report", "--audio", "none", "--pictures", "0")
    assert [run["name"] for run in content["runs"]] == ["odd", "sound"] and content["unreadable"] == []
    assert [one["run"] for one in content["evaluations"]] == [1]
    refused(capsys, "errors", str(runs / "odd"), "--no-audio")


@pytest.mark.parametrize("value", ["2026-11-30", "2026-11-30 12:00:00", "2026-99-99"])
def test_a_date_among_the_settings_is_a_text(runs: Path, tmp_path: Path, value: str) -> None:
    settings(f"began: {value}")(runs / "odd")
    content = build(runs, tmp_path / "report", "--audio", "none", "--pictures", "0")
    assert [run["settings"].get("began") for run in content["runs"]] == [value, None] and content["unreadable"] == []


def test_a_folder_as_log_has_no_lines(runs: Path, tmp_path: Path) -> None:
    a_folder("train.log")(runs / "odd")
    assert len(build(runs, tmp_path / "report", "--audio", "none", "--pictures", "0")["runs"]) == 2


def test_a_log_beyond_all_size_has_no_lines(runs: Path) -> None:
    (runs / "odd" / "train.log").write_text("Step 7 is skipped: its loss or gradient is not finite\n")
    assert len(Run(runs / "odd").skipped) == 1
    os.truncate(runs / "odd" / "train.log", 5 << 30)
    assert Run(runs / "odd").skipped == []


def test_where_no_run_can_be_read_there_is_no_page(runs: Path, tmp_path: Path, capsys: Capture) -> None:
    a_folder("metrics.jsonl")(runs / "odd")
    assert "No run can be read: " in refused(capsys, "report", str(runs / "odd"), "-o", str(tmp_path / "report"))
