"""`asr compare --baseline`: runs against one of them, with an exit code for continuous integration."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from asr.commands.cli import main
from asr.comparison.baseline import against_baseline
from asr.scoring.error_unit import ErrorUnit
from tests.helpers.compared_runs import TEXTS, write_run
from tests.helpers.refusals import Capture, refused

HALF = range(0, len(TEXTS), 2)


def compared(capsys: Capture, *arguments: str) -> tuple[int, str]:
    try:
        code: object = main(["compare", *arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert isinstance(code, int)
    return code, captured.out + captured.err


@pytest.mark.parametrize(
    ("wrong", "points", "code"),
    [(HALF, "0.5", 1), (HALF, "90", 0), ([], "0", 0), ([0], "0", 0), (HALF, None, 0)],
)
def test_only_a_run_that_is_worse_by_more_than_that_and_surely_so_fails(
    wrong: Sequence[int], points: str | None, code: int, tmp_path: Path, capsys: Capture
) -> None:
    baseline, other = write_run(tmp_path / "a"), write_run(tmp_path / "b", "gru", wrong=wrong)
    flags = ["--fail-if-worse", points] if points else []
    found, printed = compared(capsys, "--baseline", str(baseline), str(other), *flags)
    assert found == code
    assert ("worse than the baseline by more than 0.5 points: gru-10." in printed) is (code == 1)
    assert "gru-10 is" in printed and "points" in printed
    assert not (tmp_path / "comparison").exists()


def test_a_better_run_does_not_fail(tmp_path: Path, capsys: Capture) -> None:
    baseline, other = write_run(tmp_path / "a", wrong=HALF), write_run(tmp_path / "b")
    code, printed = compared(capsys, "--baseline", str(baseline), str(other), "--fail-if-worse", "0")
    assert code == 0 and "points better than the baseline" in printed and ", significant." in printed


def test_seeds_are_one_model_and_never_that_of_the_baseline(tmp_path: Path) -> None:
    baseline = write_run(tmp_path / "old", seed=1)
    runs = [write_run(tmp_path / "new", seed=seed, wrong=range(seed)) for seed in (1, 2, 3)]
    found = against_baseline(baseline, runs, "test", None)
    assert [(model.label, model.seeds) for model in found.models] == [("old/lstm-10", [1]), ("new/lstm-10", [1, 2, 3])]
    assert found.models[1].rate.deviation is not None and "±" in found.text()


def test_p_values_are_corrected_for_the_models_and_not_for_their_pairs(tmp_path: Path) -> None:
    baseline = write_run(tmp_path / "a")
    others = [write_run(tmp_path / "b", model, wrong=HALF) for model in ("gru", "rnn", "lstm")]
    found = [model.difference for model in against_baseline(baseline, others, "test", None).models[1:]]
    assert all(one is not None and one.p_corrected == pytest.approx(3 * one.p) for one in found)


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: Capture) -> None:
    run = write_run(tmp_path / "a")
    characters = write_run(tmp_path / "b", unit=ErrorUnit.character)
    other_texts = write_run(tmp_path / "c", texts=TEXTS[:3])
    baseline = ["--baseline", str(run)]
    assert "is the baseline itself" in refused(capsys, "compare", *baseline, str(run))
    assert "same scoring.unit" in refused(capsys, "compare", *baseline, str(characters))
    assert "not scored on the same utterances" in refused(capsys, "compare", *baseline, str(other_texts))
    assert "No results at" in refused(capsys, "compare", *baseline, str(other_texts), "--split", "train")
    assert "go with --baseline" in refused(capsys, "compare", str(run), "--fail-if-worse", "1")
    assert "is for comparisons without" in refused(capsys, "compare", *baseline, str(other_texts), "-o", "x")
    assert "number of points" in refused(capsys, "compare", *baseline, str(run), "--fail-if-worse", "-1")
