"""Error rates by the further fields of a manifest, by pairs of them, and by classes of words."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr.commands.cli import main
from asr.data.manifest import write_manifest
from asr.data.utterance import Extra, Utterance
from asr.report.error_analysis import OOV, OTHER, align, by_word_class, classify
from asr.report.subgroups import by_fields
from asr.scoring.bootstrap import bootstrap_interval
from asr.scoring.error_rates import UtteranceScore, score_texts, score_utterance
from asr.scoring.error_unit import ErrorUnit
from asr.text.word_classes import word_classes
from tests.helpers.reports import evaluate, metrics_rows, write_run, write_test_corpus


def scored(number: int, hypothesis: str, extra: Extra, speaker: str = "") -> UtteranceScore:
    return score_utterance(Utterance(f"{number}", Path(), 0, 1.0, "A B", speaker, 16000, extra=extra), hypothesis)


def many(count: int = 40) -> list[UtteranceScore]:
    return [
        scored(
            n, "A B" if n % 4 else "A C", (("sex", "fm"[n % 2]), ("device", ["phone", "headset"][n // 20]), ("age", n))
        )
        for n in range(count)
    ]


def test_a_field_has_a_group_for_each_value_with_its_interval() -> None:
    scores = many()
    female, male = by_fields(scores)["sex"]
    assert (female.label, female.utterances, female.rate) == ("f", 20, 0.25) and male.rate == 0
    low, high = bootstrap_interval([score for score in scores if dict(score.fields)["sex"] == "f"], 2000)
    assert female.interval == pytest.approx((low, high), abs=0.03)


def test_two_fields_are_combined_and_numbers_are_cut_into_parts() -> None:
    groups = by_fields(many())
    assert [*groups] == ["sex", "device", "age", "sex, device", "sex, age", "device, age"]
    assert [(group.label, group.utterances) for group in groups["sex, device"]] == [
        ("f, headset", 10), ("f, phone", 10), ("m, headset", 10), ("m, phone", 10),
    ]  # fmt: skip
    assert [group.label for group in groups["age"]] == [
        "0.0 to 9.0", "10.0 to 19.0", "20.0 to 29.0", "30.0 to 39.0",
    ]  # fmt: skip


def test_a_field_with_a_value_for_each_utterance_makes_no_groups() -> None:
    assert by_fields([scored(n, "A B", (("title", f"t{n}"),)) for n in range(80)]) == {}


def test_a_group_of_a_single_speaker_has_no_interval() -> None:
    spoken = ["A C", "A B", "A B"]
    scores = [scored(n, spoken[n // 4], (("sex", "f" if n < 4 else "m"),), f"s{n // 4}") for n in range(12)]
    scores += [scored(12, "X Y", (("sex", "m"),), "s3")]
    female, male = by_fields(scores)["sex"]
    assert female.interval is None and male.interval is not None and male.interval[0] < male.rate < male.interval[1]


def test_utterances_without_a_field_are_in_none_of_its_groups() -> None:
    scores = [scored(n, "A B", (("sex", "f"),) if n else ()) for n in range(3)]
    assert [group.utterances for group in by_fields(scores)["sex"]] == [2]


@pytest.fixture
def told(tmp_path: Path) -> tuple[Path, list[Utterance]]:
    """A run and its test utterances, whose manifest tells sex and device."""
    plain = write_test_corpus(tmp_path / "data", ["ONE THE LEE", "TWO THE LEE", "SIX A XYLO", "TEN A XYLO"])
    utterances = [replace(one, extra=(("sex", "fm"[n % 2]), ("device", f"d{n // 2}"))) for n, one in enumerate(plain)]
    write_manifest(tmp_path / "data/yesno/test.jsonl", utterances)
    return write_run(tmp_path / "runs/yesno/blstm-1", tmp_path / "data", metrics_rows(2)), utterances


def errors(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        code = main(["errors", *arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


HYPOTHESES = ["ONE THE LEA", "TWO THE LEE", "SIX XYLO", "TEN A XYLO"]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("by", ["sex", "device,sex", "sex, device"])
def test_the_terminal_tells_them(
    old: bool, by: str, told: tuple[Path, list[Utterance]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, utterances = told
    # An evaluation that is older than the fields of its manifest has none of its own.
    evaluate(run, [replace(one, extra=()) for one in utterances] if old else utterances, HYPOTHESES)
    code, printed = errors(capsys, str(run), "--by", by)
    assert code == 0
    if by == "sex":
        assert "WER by sex" in printed and "f   33.33 %      2 errors in     6 words" in printed
    else:
        assert "WER by sex, device" in printed and "f, d1   33.33 %" in printed
    assert "confusions" not in printed


def test_a_field_that_is_not_there_is_one_sentence(
    told: tuple[Path, list[Utterance]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, utterances = told
    evaluate(run, utterances, HYPOTHESES)
    code, printed = errors(capsys, str(run), "--by", "accent")
    assert code == 2 and "told apart by sex, device, speaker, length, speaking rate: give one of them" in printed


def row(reference: str, hypothesis: str) -> dict[str, Any]:
    return {"id": reference, "speaker": "", "duration": 1.0, "reference": reference, "hypothesis": hypothesis}


@pytest.mark.parametrize("unit", ErrorUnit)
def test_words_have_error_rates_by_class(unit: ErrorUnit) -> None:
    rows = [row("ONE THE LEE", "ONE THE BIG LEA"), row("TWO THE 7 XYLO", "TWO 7"), row("A CAT", "A CAT")]
    classes = word_classes(None, None) | {"names": frozenset(["lee"])}
    words = classify([one["reference"] for one in rows], classes, frozenset(["ONE", "TWO", "THE", "A"]))
    found = {one.label: one for one in by_word_class(align(rows, unit), words)}
    counts = {label: (one.errors, one.words, one.places) for label, one in found.items()}
    assert counts == {
        "numbers": (0, 3, []),
        "function words": (1, 3, [1]),
        "names": (1, 1, [0]),
        OTHER: (1, 2, [1]),
        OOV: (2, 4, [0, 1]),
    }
    assert found["names"].wer == 1 and found["names"].wer_low is None and found["function words"].wer_low == 0


def test_lists_of_the_user_are_classes(told: tuple[Path, list[Utterance]], capsys: pytest.CaptureFixture[str]) -> None:
    run, utterances = told
    evaluate(run, utterances, HYPOTHESES)
    lists = run.parents[2] / "data/yesno/word_classes.json"
    lists.write_text(json.dumps({"names": ["Lee"], "instruments": ["XYLO"]}))
    code, printed = errors(capsys, str(run), "--no-audio")
    assert code == 0 and "names " in printed and "instruments" in printed
    lists.write_text('{"names": "Lee"}')
    code, printed = errors(capsys, str(run), "--no-audio")
    assert code == 2 and "word_classes.json has lists of words by class" in printed


@pytest.mark.parametrize(("language", "known"), [(None, True), ("en-GB", True), ("fr", False)])
def test_english_lists_are_for_english(language: str | None, known: bool) -> None:
    assert ("function words" in word_classes(None, language)) is known


def test_results_keep_the_fields(told: tuple[Path, list[Utterance]]) -> None:
    run, utterances = told
    evaluate(run, utterances, HYPOTHESES)
    lines = (run / "evaluation/test/greedy/hypotheses.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["fields"] == {"sex": "m", "device": "d0"}
    plain = align([json.loads(line) for line in lines]).scores
    assert plain[1].fields == (("sex", "m"), ("device", "d0"))
    assert score_texts("1", "", 1.0, "A", "A").fields == ()
