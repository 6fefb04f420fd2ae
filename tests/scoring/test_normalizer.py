"""Scoring by agreed rules: what they do to words, and what becomes of the figures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr.commands.evaluate import results_table
from asr.common.errors import ConfigError, DataError
from asr.comparison.measured_runs import read_run, read_scores
from asr.report.runs import Run
from asr.scoring.error_rates import UtteranceScore, score_texts
from asr.scoring.normalizer import build_normalizer, normalized_scores
from asr.scoring.results import Results, read_results, with_normalized, write_results
from asr.settings.scoring import ScoringConfig, ScoringUnit
from asr.training.identity import weight_settings
from tests.helpers.compared_runs import write_run
from tests.helpers.configurations import composed

RULES = """;; spelling variants and fillers
* name "a header of GLM files"
COLOUR => COLOR
[OFF STAGE] => [OFFSTAGE] / [ ] __ [ ]
"UH" => ""
UM =>
HUH => (%HESITATION)
"""


def rules(folder: Path, content: str = RULES) -> str:
    path = folder / "rules.glm"
    path.write_text(content)
    return str(path)


def test_no_rules_are_no_normalizer() -> None:
    assert build_normalizer("none") is None


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The COLOUR", "the color"),
        ("OFF STAGE off", "offstage off"),
        ("UH one UM two HUH", "one two"),
        ("UM", ""),
        ("OFF", "off"),
    ],
)
def test_a_file_of_rules_replaces_whole_words_of_any_case(text: str, normalized: str, tmp_path: Path) -> None:
    normalizer = build_normalizer(rules(tmp_path))
    assert normalizer is not None and normalizer.apply(text) == normalized


def test_the_name_of_rules_follows_their_content_and_not_their_comments(tmp_path: Path) -> None:
    names = []
    for content in (RULES, RULES + ";; more\n", RULES + "GREY => GRAY\n"):
        normalizer = build_normalizer(rules(tmp_path, content))
        assert normalizer is not None and normalizer.name.startswith("rules.glm ")
        names.append(normalizer.name)
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    "line",
    ["COLOUR COLOR", "=> COLOR", "A => { B / C }", "A => B / [ X ] __ [ ]", "COLOUR => COLOR\nCOLOUR => COLORS"],
)
def test_a_line_that_is_no_rule_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Line \d of .*rules.glm"):
        build_normalizer(rules(tmp_path, line))


def test_a_file_that_is_not_there_is_told_with_what_may_stand_in_its_place() -> None:
    with pytest.raises(
        ConfigError, match=r"scoring.normalizer=englisch cannot be read .*none, lower, english or a file"
    ):
        build_normalizer("englisch")


def test_the_rules_of_whisper_are_taken_with_their_version() -> None:
    pytest.importorskip("whisper_normalizer")
    normalizer = build_normalizer("english")
    assert normalizer is not None and normalizer.name.startswith("english ")
    assert normalizer.apply("UM, it's Mr. COLOUR, twenty two  dollars") == "it is mister color $22"


def scored(reference: str, hypothesis: str, id: str = "u") -> UtteranceScore:
    return replace(score_texts(id, "anna", 1.0, reference, hypothesis), confidence=0.5)


def test_normalized_words_keep_what_else_is_known_of_an_utterance(tmp_path: Path) -> None:
    normalizer = build_normalizer(rules(tmp_path))
    assert normalizer is not None
    (one, filler) = normalized_scores([scored("THE COLOUR", "the color"), scored("UM", "one")], normalizer)
    assert (one.errors, one.reference, one.confidence, one.speaker) == (0, "the color", 0.5, "anna")
    assert (filler.words, filler.insertions, filler.rate) == (0, 1, 1.0)
    with pytest.raises(DataError, match="leaves no word"):
        normalized_scores([scored("UM", "one")], normalizer)


def evaluate_normalized(run: Path, folder: Path) -> Results:
    """Writes the evaluation of a run once more, with normalized words."""
    normalizer = build_normalizer(rules(folder, "ONE => TWO\n"))
    assert normalizer is not None
    for split in ("dev", "test"):
        place = run / "evaluation" / split / "greedy"
        raw, scores = read_results(place), read_scores(place)
        normalized = normalized_scores(scores, normalizer)
        write_results(run, with_normalized(raw, normalized, normalizer), scores, normalized)
    return read_results(run / "evaluation" / "test" / "greedy")


def test_normalized_figures_stand_beside_the_raw_ones_with_the_name_of_the_rules(tmp_path: Path) -> None:
    run = write_run(tmp_path, wrong=[1, 2, 6])
    raw = read_results(run / "evaluation" / "test" / "greedy")
    results = evaluate_normalized(run, tmp_path)
    assert replace(results, normalized=None) == raw, "raw figures stay what they are"
    assert results.normalized is not None and 0 < results.normalized.wer < raw.wer
    kept = json.loads((run / "evaluation" / "test" / "greedy" / "results.json").read_text())
    assert kept["normalized"]["normalizer"].startswith("rules.glm ") and "unit" not in kept["normalized"]
    lines = results_table([results]).splitlines()
    assert len(lines) == 3 and f"greedy ({results.normalized.normalizer})" in lines[2]
    assert f" {100 * results.normalized.wer:.2f} " in lines[2]


def test_a_comparison_and_a_report_score_the_same_normalized_words(tmp_path: Path) -> None:
    run = write_run(tmp_path, wrong=[1, 2, 6])
    results = evaluate_normalized(run, tmp_path)
    assert results.normalized is not None
    measured = read_run(run)
    assert measured.test.wer == results.normalized.wer and measured.test.decoder.startswith("greedy (rules.glm ")
    assert sum(score.errors for score in measured.scores) / results.normalized.words == results.normalized.wer
    raw, normalized = (one for one in Run(run).evaluations if one.split == "test")
    assert (raw.decoder, normalized.decoder) == ("greedy", measured.test.decoder)
    assert [row["reference"] for row in normalized.rows()] == [score.reference for score in measured.scores]
    assert normalized.results["wer"] == results.normalized.wer and raw.stamp != normalized.stamp


@pytest.mark.parametrize("unit", ScoringUnit)
def test_a_normalizer_makes_no_other_run(unit: ScoringUnit) -> None:
    settings = [
        weight_settings(replace(composed("an4"), scoring=ScoringConfig(unit, normalizer)))
        for normalizer in ("none", "lower")
    ]
    assert settings[0] == settings[1]
