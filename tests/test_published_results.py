"""The figures in the READMEs are those of the stored results."""

from pathlib import Path

import pytest

from asr.comparison.measured import read_run
from asr.comparison.summary import SUMMARY, Origin, read_summary, summarize, write_summary
from asr.recipe import RECIPES
from asr.scoring.results import read_results
from tests.compared_runs import write_run
from tools import publish_results
from tools.publish_results import comparison_section, overview, results_of, results_section

COMPARED = sorted(path.parent.parent.name for path in RECIPES.glob(f"*/comparison/{SUMMARY}"))
PUBLISHED = sorted(path.parent.name for path in RECIPES.glob("*/results"))


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_readme_holds_the_stored_figures(recipe: str) -> None:
    assert (RECIPES / recipe / "README.md").read_text(encoding="utf-8").endswith(results_section(recipe))


def test_the_readmes_hold_the_stored_comparisons() -> None:
    for recipe in COMPARED:
        assert comparison_section(recipe) in (RECIPES / recipe / "README.md").read_text(encoding="utf-8")


def test_comparisons_are_of_the_stored_results() -> None:
    for recipe in COMPARED:
        stored = RECIPES / recipe / "comparison"
        comparison = read_summary(stored / SUMMARY)
        for split, results in results_of(comparison):
            assert read_results(stored / "runs" / results.run / split) == results
        for model in comparison.models:
            wers = [read_results(stored / "runs" / run.test.run / "test").wer for run in model.runs]
            assert model.wer.mean == pytest.approx(sum(wers) / len(wers))
            assert model.wer.low <= model.wer.mean <= model.wer.high


def test_a_comparison_is_published_above_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes/an4").mkdir(parents=True)
    readme = tmp_path / "recipes/an4/README.md"
    readme.write_text("# AN4\n\n## Results\n\nAs before.\n")
    monkeypatch.setattr(publish_results, "RECIPES", tmp_path / "recipes")
    for wrong in (1, 2):
        runs = [read_run(write_run(tmp_path / f"runs{wrong}", model, wrong=[wrong])) for model in ("lstm", "gru")]
        origin = Origin(f"cells{wrong}", "an4", "asr compare an4", None, "a machine", "2")
        comparison = summarize(origin, {run.config.name: [run] for run in runs}, lambda run: None, {}, {})
        write_summary(tmp_path / "comparison" / SUMMARY, comparison)
        publish_results.write_comparison_section(publish_results.publish_comparison(tmp_path / "comparison"))
        text = readme.read_text()
        assert text.startswith("# AN4\n\n## Comparison\n")
        assert text.endswith("## Results\n\nAs before.\n")
        assert text.count("## Comparison") == 1
        assert comparison_section("an4") in text


def test_the_overview_holds_the_stored_figures() -> None:
    assert overview() in (RECIPES.parent / "README.md").read_text(encoding="utf-8")
