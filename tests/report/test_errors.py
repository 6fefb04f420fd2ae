"""Recognition errors: alignments, confusions, subgroups, and `asr errors`."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.commands.cli import main
from asr.data.utterance import Utterance
from asr.report.error_analysis import align, most_frequent
from asr.report.subgroups import grouped
from asr.scoring.error_rates import UtteranceScore, score_texts, score_utterance
from asr.scoring.error_unit import ErrorUnit
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus

WORDS = st.lists(st.sampled_from(["A", "BB", "C", "DC"]), max_size=6).map(" ".join)


def scored(id: str, reference: str, hypothesis: str, speaker: str = "", duration: float = 1.0) -> UtteranceScore:
    return score_utterance(Utterance(id, Path(), 0, duration, reference, speaker, 16000), hypothesis)


def row(score: UtteranceScore) -> dict[str, Any]:
    return {name: getattr(score, name) for name in ("id", "speaker", "duration", "reference", "hypothesis")}


@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=8))
def test_utterances_that_are_aligned_together_count_as_each_alone(texts: list[tuple[str, str]]) -> None:
    scores = [scored(str(number), *pair) for number, pair in enumerate(texts)]
    alignment = align([row(score) for score in scores])
    assert alignment.scores == scores
    for score, steps in zip(alignment.scores, alignment.steps, strict=True):
        steps = steps or "=" * score.words
        assert [steps.count(letter) for letter in "SDI"] == [score.substitutions, score.deletions, score.insertions]
        assert len(steps.replace("I", "")) == score.words


def test_confusions_name_the_pair_and_its_utterances() -> None:
    scores = [scored("1", "A B C", "A X C"), scored("2", "B B", "X"), scored("3", "A", "A Y")]
    alignment = align([row(score) for score in scores])
    assert [
        (pair.reference, pair.hypothesis, pair.count, pair.places) for pair in most_frequent(alignment.words, 9)
    ] == [
        ("B", "X", 2, [0, 1]),
        ("", "Y", 1, [2]),
        ("B", "", 1, [1]),
    ]
    assert most_frequent(alignment.characters, 1)[0].count == 2


def test_groups_hold_every_utterance_once() -> None:
    scores = [
        scored(str(number), "A B C", "A B C" if number % 3 else "", f"s{number % 2}", 0.5 * (number + 1))
        for number in range(20)
    ]
    groups = grouped(scores, {str(number): float(number) for number in range(10)})
    for measure in ("speaker", "length", "speaking rate"):
        assert sorted(id for group in groups[measure] for id in group.ids) == sorted(score.id for score in scores)
    assert sorted(id for group in groups["estimated SNR"] for id in group.ids) == sorted(map(str, range(10)))
    assert [group.label for group in groups["length"]] == ["under 1 s", "1 to 2 s", "2 to 4 s", "4 to 8 s", "8 to 16 s"]
    assert [group.utterances for group in groups["speaking rate"]] == [5, 5, 5, 5]


def test_groups_of_one_value_are_one_group() -> None:
    assert [group.utterances for group in grouped([scored("1", "A", "A")] * 4, {})["speaking rate"]] == [4]


@pytest.mark.parametrize("text", ["今天天气很好", "วันนี้อากาศดีมาก", "ထမင်းစားပြီးပြီလား"])
def test_characters_are_aligned_and_grouped_where_they_count(text: str) -> None:
    scores = [score_texts("1", "", 2.0, text, text[1:], ErrorUnit.character)]
    scores.append(score_texts("2", "", 2.0, text, text, ErrorUnit.character))
    alignment = align([row(score) for score in scores], ErrorUnit.character)
    assert alignment.scores == scores and alignment.steps == ["D" + "=" * (len(text) - 1), ""]
    (group,) = grouped(scores, {})["length"]
    counts = {"utterances": 2, "characters": 2 * len(text), "errors": 1, "cer": 1 / (2 * len(text))}
    assert group.described() == {"label": "2 to 4 s", **counts}
    (rates,) = grouped(scores, {})["speaking rate"]
    assert rates.label.endswith("characters/s")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    utterances = write_test_corpus(tmp_path / "data", ["YES NO YES", "NO NO", "YES", "NO YES"])
    run = write_run(tmp_path / "runs" / "yesno" / "lstm-1", tmp_path / "data", metrics_rows(4))
    evaluate(run, utterances, ["YES NO", "NO NO", "YES YES", "YES YES"])
    evaluate(run, utterances, ["YES NO YES", "NO NO", "YES", "NO"], split="dev")
    return run


def test_errors_of_a_script_without_spaces_are_those_of_its_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    utterances = write_test_corpus(tmp_path / "data", ["今天天气很好", "我们去公园"])
    run = write_run(
        tmp_path / "runs" / "yesno" / "lstm-1", tmp_path / "data", metrics_rows(4), ["scoring.unit=character"]
    )
    evaluate(run, utterances, ["今天天汽很好", "我去公园"], unit=ErrorUnit.character)
    assert main(["errors", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "CER 18.18 %" in printed and "WER 100.00 %: 1 substitutions, 1 deletions" in printed
    assert "in 11 characters; 2 of 2" in printed and "CER by speaking rate" in printed
    assert main(["errors", str(run), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["utterances"][0]
    assert first["steps"] == "===S==" and "characters_per_second" in first
    assert main(["report", str(run), "-o", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "data" / "report.js").read_text()
    assert '"unit":"character"' in text.replace(" ", "") and '"best_dev":{"cer":' in text.replace(" ", "")


def test_errors_as_text_show_groups_confusions_and_the_worst(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors", str(run), "--worst", "1", "--pairs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "WER 37.50 %" in printed and "3 of 4 utterances have errors." in printed
    assert "WER by estimated SNR" in printed and "Top confusions of words" in printed
    assert printed.count("REF:") == 1 and "2, speaker speaker 0, 0.4 s, WER 100.00 %" in printed
    assert "      1  *** -> YES\n      1  NO -> YES\n" in printed


def test_errors_as_json_hold_every_utterance(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors", str(run), "--split=dev", "--json", "--no-audio"]) == 0
    errors = json.loads(capsys.readouterr().out)
    assert [one["steps"] for one in errors["utterances"]] == ["", "", "", "=D"]
    assert errors["confusions"]["words"] == [{"reference": "YES", "hypothesis": "", "count": 1}]
    assert errors["results"]["wer"] == pytest.approx(1 / 8)
    assert "estimated SNR" not in errors["groups"]


def test_an_evaluation_that_is_not_there_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags, sentence in (("--split=train", "only of dev, test"), ("--decoder=beam", "only with greedy")):
        with pytest.raises(SystemExit) as stop:
            main(["errors", str(run), flags])
        assert stop.value.code == 2 and sentence in capsys.readouterr().err
