"""`asr runs`: every run in a line, sorted, the best one marked, as a table, as JSON and as CSV."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from asr.commands.cli import main
from asr.commands.subjects import find_run, given_runs
from asr.report import runs as runs_module
from asr.report.overview import best_run, readable_runs, summarize
from asr.scoring.provenance import keep_provenance
from tests.helpers.compared_runs import write_run
from tests.helpers.opened import opened_below
from tests.helpers.refusals import Capture, refused

RUNS = {
    "gru": {"seed": 1, "wrong": [0, 1, 2], "curve": {10.0: 0.9, 20.0: 0.10}},
    "lstm": {"seed": 1, "wrong": [0], "curve": {10.0: 0.9, 20.0: 0.30}},
    "rnn": {"seed": 2, "wrong": range(12), "curve": {10.0: 0.9, 20.0: 0.8, 30.0: 0.7}},
}
"""The dev WER would choose another run than the test WER."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three runs of AN4, which is the current one."""
    for model, settings in RUNS.items():
        write_run(tmp_path / "runs" / "an4", model, **settings)  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(capsys: Capture, *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["runs", *arguments, "--json"]) == 0
    read: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return read


@pytest.mark.usefixtures("project")
def test_the_table_has_a_line_for_each_run_the_lowest_wer_first(capsys: Capture) -> None:
    assert main(["runs", "an4"]) == 0
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title == "an4, test"
    for heading in ("WER %", "95 % interval", "dev WER %", "epochs", "training", "date", "state", "differs in"):
        assert heading in head
    assert [row.split()[0] for row in rows] == ["lstm-10", "*", "rnn-20"]
    assert "model.cells=[gru]" in rows[1] and "seed=2" in rows[2] and "10.00" in rows[1]
    assert "0:00:30" in rows[2] and "3/100" in rows[2] and "finished" in rows[2]


@pytest.mark.usefixtures("project")
def test_files_of_a_run_are_read_once_and_its_curves_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(name: str) -> None:
        original = getattr(runs_module, name)
        monkeypatch.setattr(runs_module, name, lambda path: (read.append(f"{name} {path.name}"), original(path))[1])

    counted("read_yaml")
    counted("read_metrics")
    runs = readable_runs(given_runs([]))
    assert len(summarize(runs, "test", None)) == 3 and best_run(runs) is not None
    expected = [f"read_metrics {name}" for name in ("gru-10", "lstm-10", "rnn-20")] + ["read_yaml config.yaml"] * 3
    assert sorted(read) == expected
    assert not any(isinstance(kept, list) and "train/loss" in str(kept) for run in runs for kept in vars(run).values())


@pytest.mark.parametrize(
    "command", [["runs", "an4", "--json"], ["report", "runs/an4", "-o", "report", "--audio", "none", "--pictures", "0"]]
)
def test_each_run_costs_the_same_however_many_there_are(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    for count in (4, 8):
        place = tmp_path / str(count)
        for seed in range(count):
            write_run(place / "runs" / "an4", seed=seed, wrong=[seed])
        monkeypatch.chdir(place)
        with opened_below(place / "runs") as files:
            assert main(command) == 0
        opened.append(len(files))
    assert opened[1] == 2 * opened[0] > 0


@pytest.mark.usefixtures("project")
def test_json_and_csv_say_the_same(capsys: Capture) -> None:
    found = lines(capsys, "an4")
    assert [(line["run"], line["best"]) for line in found] == [("lstm-10", False), ("gru-10", True), ("rnn-20", False)]
    assert found[0]["wer"] == found[0]["rate"] == pytest.approx(found[0]["rate_low"]) and found[1]["dev_rate"] == 0.10
    assert main(["runs", "an4", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["run"], row["best"], row["seed"], row["dev_rate"]) for row in rows] == [
        ("lstm-10", "False", "1", "0.3"), ("gru-10", "True", "1", "0.1"), ("rnn-20", "False", "2", "0.7"),
    ]  # fmt: skip


@pytest.mark.parametrize("named", [[], ["an4"], ["runs/an4"], ["runs"], ["runs/an4/lstm-10", "runs/an4/gru-10"]])
def test_runs_are_named_by_recipe_by_folder_or_not_at_all(named: list[str], project: Path, capsys: Capture) -> None:
    write_run(project / "runs" / "other", "lstm")
    found = {(line["recipe"], line["run"]) for line in lines(capsys, *named)}
    an4 = {("an4", "lstm-10"), ("an4", "gru-10"), ("an4", "rnn-20")}
    everything = an4 | {("other", "lstm-10")}
    assert found == (everything if named in ([], ["runs"]) else an4 - {("an4", "rnn-20")} if len(named) > 1 else an4)


def evaluate(run: Path, decoder: str, wer: float) -> None:
    """Copies the evaluation of a run to another decoder."""
    for split in ("dev", "test"):
        old, new = run / "evaluation" / split / "greedy", run / "evaluation" / split / decoder
        new.mkdir()
        results = json.loads((old / "results.json").read_text())
        (new / "results.json").write_text(json.dumps(results | {"decoder": decoder, "wer": wer}))
        (new / "hypotheses.jsonl").write_bytes((old / "hypotheses.jsonl").read_bytes())


def test_of_several_decoders_greedy_counts(project: Path, capsys: Capture) -> None:
    run = project / "runs/an4/lstm-10"
    evaluate(run, "beam-words", 0.011)
    assert {line["decoder"] for line in lines(capsys, "an4")} == {"greedy"}
    assert lines(capsys, "an4", "--decoder", "beam-words")[0]["wer"] == 0.011
    assert [line["wer"] for line in lines(capsys, "an4", "--decoder", "beam-words")[1:]] == [None, None]
    assert main(["errors", str(run), "--no-audio"]) == 0
    assert "greedy decoder" in capsys.readouterr().out
    assert main(["errors", str(run), "--no-audio", "--decoder", "beam-words"]) == 0
    assert "beam-words decoder" in capsys.readouterr().out
    (run / "evaluation/test/greedy/results.json").unlink()
    assert main(["runs", "an4"]) == 0
    assert "decoder" in capsys.readouterr().out.splitlines()[1]


@pytest.mark.usefixtures("project")
def test_errors_of_several_runs_are_their_table(capsys: Capture) -> None:
    printed = refused(capsys, "errors", "runs/an4")
    assert printed.startswith("an4, test\n") and "* " in printed
    assert printed.splitlines()[-1] == "asr: runs/an4 has 3 runs: name one, as in `asr errors runs/an4/best`."
    assert main(["errors", "runs/an4/best", "--no-audio"]) == 0
    assert capsys.readouterr().out.startswith("an4 gru-10")


def test_the_state_of_a_run_is_told(project: Path, capsys: Capture) -> None:
    folder = project / "runs" / "an4"
    for name, made in {"rnn-20": ["evaluation", ".reported"], "gru-10": ["evaluation"]}.items():
        for path in sorted((folder / name / "evaluation").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if ".reported" in made:
            (folder / name / ".reported").touch()
    states = {line["run"]: line["state"] for line in lines(capsys, "an4")}
    assert states == {"lstm-10": "finished", "gru-10": "interrupted", "rnn-20": "finished"}
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", hold, str(folder / "gru-10" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert {line["run"]: line["state"] for line in lines(capsys, "an4")}["gru-10"] == "training"
        other.communicate(b"\n", timeout=60)


def test_what_was_trained_on_dev_is_never_the_best(project: Path, capsys: Capture) -> None:
    write_run(project / "runs" / "an4", "hybrid", overrides=["training.with_dev=true"], curve={10.0: 0.01})
    assert [line["run"] for line in lines(capsys, "an4") if line["best"]] == ["gru-10"]


@pytest.mark.parametrize("debug", ["overfit", "one_batch", "profile"])
def test_what_only_looks_for_mistakes_is_never_the_best(debug: str, project: Path, capsys: Capture) -> None:
    folder = project / "runs" / "an4"
    write_run(folder, "hybrid", overrides=[f"debug={debug}"], curve={10.0: 0.0})
    assert [line["run"] for line in lines(capsys, "an4") if line["best"]] == ["gru-10"]
    assert find_run("an4/best").name == "gru-10"


def test_runs_with_different_dev_splits_have_no_best(project: Path, capsys: Capture) -> None:
    folder = project / "runs" / "an4"
    keep_provenance(folder / "gru-10", {"dev_manifest": "a"})
    keep_provenance(folder / "rnn-20", {"dev_manifest": "a"})
    assert find_run("an4/best").name == "gru-10", "that of an older run is not known"
    keep_provenance(folder / "rnn-20", {"dev_manifest": "b"})
    sentence = f"{folder / 'gru-10'} and {folder / 'rnn-20'} were judged on different dev splits"
    assert sentence in refused(capsys, "evaluate", "an4/best")
    assert not any(line["best"] for line in lines(capsys, "an4"))
    assert "gru-10" in refused(capsys, "errors", "runs/an4").splitlines()[-1]
    assert [line["run"] for line in lines(capsys, str(folder / "gru-10")) if line["best"]] == ["gru-10"]


@pytest.mark.parametrize("content", ["seed: [", "", "- 1"])
def test_a_damaged_run_is_named_and_left_out(content: str, project: Path, capsys: Capture) -> None:
    (project / "runs/an4/rnn-20/config.yaml").write_text(content)
    assert main(["runs", "an4"]) == 0
    printed = capsys.readouterr()
    assert "rnn-20" not in printed.out and "rnn-20 is left out" in printed.err


@pytest.mark.parametrize("named", [["yesno"], ["runs/yesno"], ["nowhere"]])
@pytest.mark.usefixtures("project")
def test_a_recipe_without_runs_says_of_which_there_are_some(named: Sequence[str], capsys: Capture) -> None:
    assert f"No run of {named[0]}: there are runs of an4" in refused(capsys, "runs", *named)


def test_errors_in_characters_head_the_table_where_they_are_counted(project: Path, capsys: Capture) -> None:
    for model in ("gru", "lstm", "rnn"):
        run = project / f"runs/an4/{model}-{RUNS[model]['seed']}0"
        write_character_run(run, rate={"gru": 0.3, "lstm": 0.2, "rnn": 0.1}[model])
    assert main(["runs", "an4"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()[1:]
    assert "CER %" in head and "WER" not in head
    assert [row.split()[1] if "*" in row else row.split()[0] for row in rows] == ["rnn-20", "lstm-10", "gru-10"]
    assert "10.00" in rows[0]


def write_character_run(run: Path, rate: float) -> None:
    """Makes a run one whose errors are counted in characters."""
    settings = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(settings.replace("unit: auto", "unit: character"))
    path = run / "evaluation/test/greedy/results.json"
    figures = {"unit": "character", "cer": rate, "cer_low": rate, "cer_high": rate, "characters": 9}
    path.write_text(json.dumps(json.loads(path.read_text()) | figures))


def test_runs_that_differ_in_the_seed_are_one_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for seed, wrong in ((1, []), (2, range(6)), (3, range(12))):
        write_run(tmp_path / "runs/an4", "lstm", seed=seed, wrong=wrong)
    write_run(tmp_path / "runs/an4", "gru", wrong=[0])
    monkeypatch.chdir(tmp_path)
    rates = [line["rate"] for line in lines(capsys, "an4") if line["run"].startswith("lstm")]
    gru, lstm = lines(capsys, "an4", "--seeds")
    assert (gru["seeds"], gru["rate_deviation"]) == ([1], None)
    assert lstm["seeds"] == [1, 2, 3] and "seed" not in lstm["settings"]
    assert lstm["rate"] == pytest.approx(fmean(rates)) and lstm["rate_deviation"] == pytest.approx(stdev(rates))
    assert main(["runs", "an4", "--seeds"]) == 0
    printed = capsys.readouterr().out
    assert "mean ± standard deviation over seeds" in printed and "1,2,3" in printed and " ± " in printed


def test_the_origin_of_a_run_is_in_its_line(project: Path, capsys: Capture) -> None:
    keep_provenance(project / "runs/an4/gru-10", {})
    found = {line["run"]: line for line in lines(capsys, "an4")}
    assert found["gru-10"]["host"] and found["gru-10"]["command"].startswith("asr")
    assert found["lstm-10"]["host"] is None and found["lstm-10"]["tags"] == []
