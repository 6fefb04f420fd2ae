"""The workspace and the report in Weights & Biases, offline and against a stand-in of its server."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from asr.commands.cli import main
from tests.helpers import programs
from tests.helpers.corpora import write_corpus
from tests.helpers.programs import ROOT
from tests.helpers.tracked import no_login  # noqa: F401  a fixture
from tests.helpers.wandb_server import Server, wandb_server

pytestmark = pytest.mark.usefixtures("no_login")

SECTIONS = ["Overview", "Training health", "Errors", "What matters", "LSTM vs. GRU"]


def metrics_in(value: Any) -> set[str]:
    """Every metric that a specification plots."""
    if isinstance(value, dict):
        own = value.get("metrics") if isinstance(value.get("metrics"), list) else []
        return {one for one in own if isinstance(one, str)}.union(*(metrics_in(item) for item in value.values()))
    return set().union(*(metrics_in(item) for item in value)) if isinstance(value, list) else set()


def test_offline_the_specification_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "yesno", "tracker=offline", f"paths.runs={tmp_path}"]) == 0
    folder = tmp_path / "yesno" / "dashboard"
    assert str(folder / "workspace.json") in capsys.readouterr().out
    workspace, report = (json.loads((folder / f"{name}.json").read_text()) for name in ("workspace", "report"))
    sections = workspace["spec"]["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == SECTIONS
    plotted = metrics_in(workspace)
    assert plotted == metrics_in(report)
    assert plotted >= {"dev/wer", "dev/wer.min", "test/wer", "train/loss", "dev/blank_share", "dev/empty_share"}
    for shown in (workspace["spec"]["section"]["runSets"], report):
        filters = json.dumps(shown)
        assert "recipe" in filters and '"evaluate"' in filters and '"compare"' in filters
    assert "worst_utterances" in json.dumps(report)


def test_the_dashboard_of_a_script_without_spaces_shows_the_cer(tmp_path: Path) -> None:
    texts = {split: ["今天天气很好", "好"] for split in ("train", "dev", "test")}
    write_corpus(tmp_path / "yesno", texts, sampling_rate=8000)
    assert main(["dashboard", "yesno", "tracker=offline", f"paths.runs={tmp_path}", f"paths.data={tmp_path}"]) == 0
    workspace = (tmp_path / "yesno" / "dashboard" / "workspace.json").read_text()
    plotted = metrics_in(json.loads(workspace))
    assert plotted >= {"dev/cer", "dev/cer.min", "dev/cer_low", "test/cer"} and "dev/wer" not in plotted
    assert "Lowest dev CER" in workspace and "WER" not in workspace


def test_every_metric_that_is_plotted_is_one_that_a_training_logs(tmp_path: Path) -> None:
    from asr.scoring.results import Results
    from asr.training.timing import PARTS

    assert main(["dashboard", "yesno", "tracker=offline", f"paths.runs={tmp_path}"]) == 0
    logged = {f"time/{part}_share" for part in PARTS}
    figures = [name + end for name in Results.__dataclass_fields__ for end in ("", ".min")]
    logged |= {f"{split}/{figure}" for split in ("dev", "test") for figure in figures}
    code = "".join(path.read_text() for path in (ROOT / "asr" / "training").glob("*.py"))
    for metric in metrics_in(json.loads((tmp_path / "yesno" / "dashboard" / "report.json").read_text())):
        assert metric in logged or f'"{metric.removesuffix(".min")}"' in code, metric


def saved(server: Server, runs: Path) -> str:
    arguments = ["dashboard", "yesno", f"paths.runs={runs}", "tracker.entity=someone"]
    done = programs.run(main, arguments, WANDB_API_KEY="k" * 40, WANDB_BASE_URL=server.url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_online_both_are_created_once_and_then_updated(tmp_path: Path) -> None:
    with wandb_server() as server:
        said = saved(server, tmp_path)
        assert [view["type"] for view in server.views] == ["project-view", "runs"]
        assert f"The workspace: {server.url}/someone/asr?nw=" in said
        assert f"The report: {server.url}/someone/asr/reports/" in said
        first = [(view["id"], view["spec"]) for view in server.views]
        assert saved(server, tmp_path) == said
        assert [view["id"] for view in server.views] == [id for id, _ in first]


def test_without_its_package_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2.interface", None)
    with pytest.raises(SystemExit) as stop:
        main(["dashboard", "yesno"])
    assert stop.value.code == 2
    assert "pip install 'asr[dashboard]'" in capsys.readouterr().err
