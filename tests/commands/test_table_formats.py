"""--format: the tables of commands as CSV, Markdown and LaTeX, and nothing else on stdout; and files for sclite."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.commands.cli import main
from asr.common.tables import choose_format
from tests.helpers.compared_runs import write_run


@pytest.fixture(autouse=True)
def text_again() -> Iterator[None]:
    yield
    choose_format("text")


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [str(write_run(tmp_path / "an4", model, wrong=wrong)) for model, wrong in (("lstm", [1, 2]), ("gru", [6]))]


BEGINS = {"md": ("**", "| "), "latex": ("% ", "\\begin{tabular}"), "csv": ("", "")}


@pytest.mark.parametrize("name", BEGINS)
@pytest.mark.parametrize("command", ["runs", "errors", "compare", "baseline"])
def test_tables_are_alone_on_stdout_in_the_format(
    command: str, name: str, runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {
        "runs": ["runs", *runs],
        "errors": ["errors", runs[0], "--no-audio"],
        "compare": ["compare", *runs, "-o", str(tmp_path / "compared")],
        "baseline": ["compare", runs[1], "--baseline", runs[0]],
    }[command]
    assert main([*arguments, "--format", name]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(BEGINS[name][0]) and f"\n{BEGINS[name][1]}" in printed
    assert "What the figures show" not in printed and "The comparison:" not in printed
    if name == "csv" and command == "runs":
        assert [row["run"] for row in csv.DictReader(io.StringIO(printed))] == ["gru-10", "lstm-10"]
    main(arguments)
    assert capsys.readouterr().out.splitlines()[0] != printed.splitlines()[0] or name == "csv", "text again"


@pytest.mark.parametrize("arguments", [["errors", "--json"], ["runs", "--csv"], ["runs", "--json"]])
def test_a_format_stands_alone(arguments: list[str], runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, runs[0], "--format", "md"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_commands_without_a_table_have_no_format(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([command, "an4", "--format", "md"])
    assert "--format" in capsys.readouterr().err


def test_an_evaluation_is_written_for_sclite(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["errors", runs[0], "--no-audio", "--sclite", str(tmp_path / "nist")]) == 0
    assert "sclite -s -e utf-8" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "nist").iterdir()) == ["hyp.ctm", "hyp.trn", "ref.stm", "ref.trn"]
