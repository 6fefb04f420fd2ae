"""The benchmark of scaling: its ranks, its table and its plot."""

from pathlib import Path

import pytest

from asr.commands.benchmark import draw, row
from asr.planning.scaling import Scaling, rank_counts
from tests.helpers.programs import ROOT
from tests.helpers.trainings import asr, prepare_yesno

SINGLE = Scaling(1, 100.0, 0.5, 0.1, 0.4, 0.0, 0.0, 0.05)
TWO = Scaling(2, 184.0, 0.27, 0.05, 0.2, 0.01, 0.01, 0.04)


def test_ranks_double_up_to_all_of_them() -> None:
    assert rank_counts(1) == [1]
    assert rank_counts(6) == [1, 2, 4, 6]
    assert rank_counts(8) == [1, 2, 4, 8]


def test_efficiency_is_the_speed_as_a_share_of_the_ideal(tmp_path: Path) -> None:
    assert TWO.efficiency(SINGLE) == pytest.approx(0.92)
    assert "92.0 %" in row(TWO, SINGLE)
    draw([SINGLE, TWO], tmp_path / "scaling.svg")
    assert "<svg" in (tmp_path / "scaling.svg").read_text()


def test_tools_that_need_the_tests_are_called_from_the_root_of_the_project() -> None:
    pages = "\n".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    needy = [path for path in (ROOT / "tools").rglob("*.py") if "\nfrom tests." in path.read_text()]
    assert needy
    for path in needy:
        main = path.with_name("__main__.py")
        called, started = (path.parent, main) if main.exists() else (path.with_suffix(""), path)
        for text in (pages, started.read_text()):
            assert f"{called.relative_to(ROOT)}.py" not in text
            assert f"python -m {'.'.join(called.relative_to(ROOT).parts)}" in text


@pytest.mark.slow
def test_ranks_are_measured_on_a_recipe(tmp_path: Path) -> None:
    recipe = prepare_yesno(tmp_path / "data")
    threads = ["hardware.workers=0", "tracker=disabled", "hardware.device=cpu"]
    assert asr("benchmark", "scaling", tmp_path, threads).returncode == 2, "the recipe is missing"
    assert asr("benchmark scaling", recipe, tmp_path, threads).returncode == 0
    assert (tmp_path / "runs" / recipe / "scaling" / "scaling.json").is_file()
