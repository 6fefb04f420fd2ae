"""The figures in the READMEs are those of the stored results."""

import json
import shutil
from pathlib import Path

import pytest

from asr.comparison.measured_runs import read_run
from asr.comparison.summary import SUMMARY, Origin, read_summary, summarize, write_summary
from asr.scoring.results import read_results
from asr.settings.recipe import RECIPES
from tests.helpers.compared_runs import write_run
from tools import publish_results
from tools.publish_results import comparison_section, overview, results_of, results_section

COMPARED = sorted(path.parent.parent.name for path in RECIPES.glob(f"*/comparison/{SUMMARY}"))
PUBLISHED = sorted(path.parent.name for path in RECIPES.glob("*/results"))


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_readme_holds_the_stored_figures(recipe: str) -> None:
    assert (RECIPES / recipe / "README.md").read_text(encoding="utf-8").endswith(results_section(recipe))


def test_seeds_stand_together_and_what_stands_first_does_not_depend_on_the_test_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(RECIPES / "yesno", tmp_path / "yesno")
    results = next((RECIPES / "yesno/results").glob("*/test/results.json"))
    commands = {"b": ("asr run yesno", 0.2), "c": ("asr run yesno seed=2", 0.3), "a": ("asr run yesno model=gru", 0.1)}
    shutil.rmtree(tmp_path / "yesno/results")
    for name, (command, wer) in commands.items():
        (tmp_path / "yesno/results" / name / "test").mkdir(parents=True)
        changed = {"command": command, "wer": wer, "run": name, "seed": 2 if "seed" in command else 1}
        stored = json.dumps(json.loads(results.read_text()) | changed)
        (tmp_path / "yesno/results" / name / "test/results.json").write_text(stored)
    monkeypatch.setattr(publish_results, "RECIPES", tmp_path)
    assert [[run["test"].run for run in runs] for runs in publish_results.stored_runs("yesno")] == [["b", "c"], ["a"]]
    assert "| **mean of 2 seeds** | - | **25.00** |" in results_section("yesno")
    assert "| 25.00 | 20.00, 30.00 |" in overview()


def test_further_decoders_of_all_seeds_stand_in_a_table_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = next((RECIPES / "yesno/results").glob("*/test/results.json"))
    monkeypatch.setattr(publish_results, "RECIPES", tmp_path)
    for name, seed, wers in (
        ("a", 1, {"greedy": 0.1, "beam": 0.05, "other": 0.2}),
        ("b", 2, {"greedy": 0.3, "beam": 0.15}),
    ):
        for decoder, wer in wers.items():
            folder = tmp_path / "runs" / name / "evaluation/test" / decoder
            folder.mkdir(parents=True)
            told = {"run": name, "seed": seed, "decoder": decoder, "wer": wer, "command": f"asr {decoder} seed={seed}"}
            (folder / "results.json").write_text(json.dumps(json.loads(source.read_text()) | told))
        publish_results.publish(tmp_path / "runs" / name)
    section = results_section("yesno")
    assert "| beam | 5.00 | 15.00 | **10.00** |" in section and "| greedy | 10.00 | 30.00 | **20.00** |" in section
    assert "| other |" not in section, "only what all seeds have"
    assert section.endswith("    asr beam seed=1\n    asr beam seed=2\n")


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
            rates = [read_results(stored / "runs" / run.test.run / "test").rate for run in model.runs]
            assert model.rate.mean == pytest.approx(sum(rates) / len(rates))
            assert model.rate.low <= model.rate.mean <= model.rate.high


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


def test_what_is_published_does_not_tell_where_data_and_runs_lay() -> None:
    places = "paths.runs=/home/me/r paths.data=/data"
    command = f"asr evaluate an4 'model.cells=[gru]' {places} evaluation.models=/home/me/r/an4/gru"
    expected = "asr evaluate an4 'model.cells=[gru]' evaluation.models=runs/an4/gru"
    assert publish_results.without_places(command) == expected
    assert publish_results.without_places(expected) == expected
