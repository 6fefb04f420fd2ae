"""What a training tells beside its curves: the panel, alerts, artifacts, and how the curves are shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from asr.scoring.error_rates import score_texts
from asr.tracking.diagnostics import diagnose
from asr.tracking.metrics import panel_row, read_metrics, read_panel
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_media import alignment_html
from tests.helpers import programs
from tests.helpers.offline_runs import history, offline_parts, records
from tests.helpers.tracked import lose_the_service, no_login, open_tracker, summary, train  # noqa: F401  a fixture among them

pytestmark = pytest.mark.usefixtures("no_login")


def table_files(folder: Path, name: str) -> list[Path]:
    """The files of a table of the summary, in the order of its versions."""
    shown = [record["update"][name] for record in records(folder, "summary") if name in record.get("update", {})]
    return [
        part / "files" / one["path"]
        for one in shown
        for part in offline_parts(folder)
        if (part / "files" / one["path"]).exists()
    ]


def kept(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return read


@pytest.mark.slow
def test_without_the_service_of_wandb_a_training_goes_on_and_a_later_run_has_another(tmp_path: Path) -> None:
    done = programs.run(lose_the_service, [str(tmp_path / "first"), str(tmp_path / "second")])
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr
    assert [row["step"] for row in read_metrics(tmp_path / "first") if "train/loss" in row] == [*range(1, 41)]
    assert history(tmp_path / "second") == read_metrics(tmp_path / "second")


def test_the_panel_is_cut_back_with_the_metrics_and_shown_as_one_table(tmp_path: Path) -> None:
    def validate(tracker: Tracker, epochs: range) -> None:
        for epoch in epochs:
            text = "YES" if epoch > 2 else ""
            tracker.panel(panel_row(5 * epoch, epoch, [score_texts("an4-1", "fjlp", 0.1, "YES", text)]))
            train(tracker, 5 * epoch - 5, 5 * epoch)

    with open_tracker(tmp_path) as tracker:
        validate(tracker, range(1, 4))
    with open_tracker(tmp_path, step=12) as tracker:
        assert [row["epoch"] for row in read_panel(tmp_path)] == [1, 2]
        train(tracker, 12, 15)
        validate(tracker, range(4, 5))
    assert [row["epoch"] for row in read_panel(tmp_path)] == [1, 2, 4]
    assert history(tmp_path) == read_metrics(tmp_path)
    table = json.loads(table_files(tmp_path, "dev/panel")[-1].read_text())
    assert table["columns"] == ["epoch", "step", "id", "reference", "hypothesis", "wer"]
    assert table["data"] == [
        [1, 5, "an4-1", "YES", "", 1.0],
        [2, 10, "an4-1", "YES", "", 1.0],
        [4, 20, "an4-1", "YES", "YES", 0.0],
    ]


def test_an_alert_of_a_kind_is_sent_once_in_the_life_of_a_run(tmp_path: Path) -> None:
    with open_tracker(tmp_path) as tracker:
        for epoch in range(1, 8):
            tracker.log(epoch, epoch, epoch, {"dev/wer": 1.0, "dev/cer": 1.0, "dev/blank_share": 0.99})
    assert "99.0 % of its frames are blank" in kept(tmp_path)["alert/collapse"]
    assert [alert["title"] for alert in records(tmp_path, "alert")] == ["yesno lstm: collapse"]
    with open_tracker(tmp_path, step=5) as tracker:
        for epoch in range(6, 8):
            tracker.log(epoch, epoch, epoch, {"dev/wer": 1.0, "dev/cer": 1.0})
        for _ in range(2):
            tracker.alert("finished", "Best dev WER 100 %")
    alerts = records(tmp_path, "alert")
    assert [(alert["title"], alert["level"]) for alert in alerts] == [
        ("yesno lstm: collapse", "ERROR"),
        ("yesno lstm: finished", "INFO"),
    ]


def test_a_training_that_diverges_within_an_epoch_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_tracker(tmp_path) as tracker:
        for step in range(1, 101):
            tracker.log(step, step / 1000, step, {"train/loss": 1 / step if step < 30 else 0.1 * step})
    (alert,) = records(tmp_path, "alert")
    assert (alert["title"], alert["level"]) == ("yesno lstm: diverging", "ERROR")
    assert alert["text"].startswith("The training loss rises from ")
    assert [record.getMessage() for record in caplog.records if record.name == "asr.tracking.tracker"] == [
        alert["text"]
    ]


def test_warnings_are_said_once_each_when_they_arise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for start in (0, 5):
        with open_tracker(tmp_path, step=start, mode="disabled") as tracker:
            for epoch in range(start + 1, start + 6):
                shares = {"time/data_wait_share": 0.4, "data/padding_share": 0.3}
                tracker.log(epoch, epoch, epoch, {"train/loss": 1 / epoch, **shares})
                tracker.log(epoch, epoch, epoch, {"dev/wer": 1 / epoch, "dev/cer": 1 / epoch})
    said = [record.getMessage() for record in caplog.records if record.name == "asr.tracking.tracker"]
    assert [sentence.split(" % ")[1][:12] for sentence in said] == ["of step time", "of the compu"]
    assert list(kept(tmp_path)) == ["warning/data", "warning/padding"]


def test_the_terminal_the_alert_and_the_page_tell_of_a_divergence_with_the_same_figures(tmp_path: Path) -> None:
    with open_tracker(tmp_path, mode="disabled") as tracker:
        for step in range(1, 61):
            tracker.log(step, step / 10, step, {"train/loss": 1 / step if step < 30 else 0.1 * step})
        tracker.log(60, 6, 60, {"train/epoch_loss": 6.0, "dev/wer": 1.0})
    said = str(kept(tmp_path)["alert/diverging"])
    (shown,) = [one for one in diagnose(read_metrics(tmp_path), {}) if one.kind == "diverging"]
    assert said.split(": the training diverges")[0] in shown.sentence.replace(" and is 5.05 at step 60", "")


def test_a_healthy_training_sends_no_alert(tmp_path: Path) -> None:
    with open_tracker(tmp_path) as tracker:
        train(tracker, 0, 100)
    assert records(tmp_path, "alert") == []


def test_a_run_uses_its_manifests_and_makes_its_model(tmp_path: Path) -> None:
    manifest, model = tmp_path / "yesno" / "train.jsonl", tmp_path / "model"
    for path in (manifest, model / "config.yaml"):
        path.parent.mkdir()
        path.write_text("{}\n")
    with open_tracker(tmp_path) as tracker:
        tracker.uses_manifests([manifest])
        tracker.model("model-lstm-1", model, {"dev_wer": 0.1})
        tracker.uses_model("model-lstm-1", model)
    made = records(tmp_path, "artifact")
    assert [
        (one["type"], one["name"], one.get("use_after_commit", False), one["manifest"]["contents"][0]["path"])
        for one in made
    ] == [
        ("manifest", "manifest-yesno", True, "yesno/train.jsonl"),
        ("model", "model-lstm-1", False, "config.yaml"),
        ("model", "model-lstm-1", True, "config.yaml"),
    ]
    assert json.loads(made[1]["metadata"]) == {"dev_wer": 0.1}
    assert sorted(made[1]["aliases"]) == ["best", "latest"]


def test_curves_of_dev_go_by_epoch_and_their_best_value_is_the_summary(tmp_path: Path) -> None:
    with open_tracker(tmp_path) as tracker:
        for epoch, wer in enumerate((0.5, 0.2, 0.3), start=1):
            tracker.log(10 * epoch, epoch, epoch, {"dev/wer": wer, "dev/empty_share": wer})
        tracker.summary({"dev/wer": 0.21, "test/wer": 0.3})
    axes = {one.get("name") or one["glob_name"]: one.get("step_metric") for one in records(tmp_path, "metric")}
    assert (axes["*"], axes["dev/*"], axes["dev/wer"]) == ("step", "epoch", "epoch")
    assert summary(tmp_path).items() >= {"dev/wer": {"min": 0.2}, "dev/empty_share": 0.3, "test/wer": 0.3}.items()


def test_an_evaluation_has_the_lowest_dev_figures_of_its_training(tmp_path: Path) -> None:
    with open_tracker(tmp_path, mode="disabled") as tracker:
        for epoch, wer in enumerate((0.5, 0.2, 0.3), start=1):
            tracker.log(10 * epoch, epoch, epoch, {"dev/wer": wer, "dev/cer": wer / 2})
    with open_tracker(tmp_path / "evaluation", kind="evaluate") as tracker:
        tracker.lowest_of(tmp_path)
        tracker.summary({"test/wer": 0.3})
    figures = {"dev/wer": {"min": 0.2}, "dev/cer": {"min": 0.1}, "test/wer": 0.3}
    assert summary(tmp_path / "evaluation").items() >= figures.items()


def test_the_run_of_a_sweeps_agent_has_the_id_that_the_agent_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "a-sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "drawn123")
    with open_tracker(tmp_path) as tracker:
        train(tracker, 0, 1)
    monkeypatch.setenv("WANDB_RUN_ID", "another1")
    with open_tracker(tmp_path, step=1) as tracker:
        train(tracker, 1, 2)
    assert [run["run_id"] for run in records(tmp_path, "run")] == 2 * ["drawn123"]


def test_an_alignment_is_html_that_shows_every_word_as_text() -> None:
    page = alignment_html("<b>A</b> B C", "X B D & E", "S=SII")
    # Without it the page of W&B shows other letters: https://github.com/wandb/wandb/issues/10369
    assert page.startswith('<meta charset="utf-8">')
    assert "<b>A" not in page and "&lt;b&gt;A&lt;/b&gt;<br>X" in page
    assert page.count("<td") == 5 and page.count("substituted") == 2 and page.count("inserted") == 2
    assert "&nbsp;<br>&amp;<br><b>+</b>" in page
