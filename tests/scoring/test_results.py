"""Results as files and as a table, and where they come from."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.commands.evaluate import results_table
from asr.common.errors import RunError
from asr.data.utterance import Utterance
from asr.scoring import provenance
from asr.scoring.error_rates import UtteranceScore, score_utterance, with_texts
from asr.scoring.provenance import Provenance, keep_provenance, kept_identity, kept_provenance
from asr.scoring.results import (
    Results,
    evaluation_folder,
    read_results,
    results_json,
    split_figures,
    write_results,
)

RESULTS = Results(
    recipe="an4",
    run="lstm-1a2b3c4d",
    split="test",
    decoder="greedy",
    utterances=130,
    words=773,
    wer=0.0879,
    wer_low=0.0612,
    wer_high=0.1204,
    cer=0.0315,
    substitutions=40,
    deletions=10,
    insertions=18,
    seed=1,
    parameters=4_400_000,
    train_seconds=783.4,
    audio_seconds=357.0,
    real_time_factor=0.01,
    hardware="Some CPU, 2 cores",
    torch="2.14.1",
    command="asr train an4",
    commit=None,
    config_hash="0123abcd",
)


@pytest.fixture
def scores() -> list[UtteranceScore]:
    utterances = [
        Utterance("b", Path("/none.wav"), 0.0, 1.5, "GRÜN ONE", "anna", 16000),
        Utterance("a", Path("/none.wav"), 0.0, 2.0, "TWO", "", 16000),
    ]
    return [score_utterance(utterance, "GRÜN") for utterance in utterances]


def test_results_are_read_back_as_written(tmp_path: Path, scores: list[UtteranceScore]) -> None:
    folder = write_results(tmp_path, RESULTS, scores)
    assert folder == evaluation_folder(tmp_path, "test", "greedy") == tmp_path / "evaluation" / "test" / "greedy"
    assert read_results(folder) == RESULTS


def test_results_have_the_keys_that_others_rely_on(tmp_path: Path, scores: list[UtteranceScore]) -> None:
    written = json.loads((write_results(tmp_path, RESULTS, scores) / "results.json").read_text())
    assert " ".join(written) == (
        "recipe run split decoder utterances words wer wer_low wer_high cer substitutions deletions insertions seed "
        "parameters train_seconds audio_seconds real_time_factor hardware torch command commit config_hash"
    )


def test_hypotheses_are_written_in_order_one_a_line(tmp_path: Path, scores: list[UtteranceScore]) -> None:
    lines = (write_results(tmp_path, RESULTS, scores) / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "id": "b",
            "speaker": "anna",
            "duration": 1.5,
            "reference": "GRÜN ONE",
            "hypothesis": "GRÜN",
            "wer": 0.5,
            "cer": 0.5,
            "alignment": "=D",
            "ctc_loss_per_token": None,
            "confidence": None,
        },
        {
            "id": "a",
            "speaker": "",
            "duration": 2.0,
            "reference": "TWO",
            "hypothesis": "GRÜN",
            "wer": 1.0,
            "cer": 4 / 3,
            "alignment": "S",
            "ctc_loss_per_token": None,
            "confidence": None,
        },
    ]
    assert "GRÜN" in lines[0]


def test_a_second_evaluation_replaces_the_first_and_leaves_nothing_else(
    tmp_path: Path, scores: list[UtteranceScore]
) -> None:
    write_results(tmp_path, RESULTS, scores)
    folder = write_results(tmp_path, replace(RESULTS, wer=0.5), scores[:1])
    assert read_results(folder).wer == 0.5
    assert sorted(path.name for path in folder.iterdir()) == ["errors.txt", "hypotheses.jsonl", "results.json"]
    assert (folder / "errors.txt").read_text(encoding="utf-8").startswith("b  speaker anna  WER 50.00%\nREF: GRÜN ONE")


def test_an_evaluation_by_another_command_than_the_training_says_so(
    tmp_path: Path, scores: list[UtteranceScore]
) -> None:
    other = replace(RESULTS, evaluated=Provenance("asr evaluate an4", "0123abcd", "Other CPU, 1 core", "2.15.0"))
    folder = write_results(tmp_path, other, scores)
    assert read_results(folder) == other
    assert (other.command, other.evaluation_command) == ("asr train an4", "asr evaluate an4")
    assert RESULTS.evaluation_command == "asr train an4"
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"evaluated": None}))
    assert read_results(folder) == RESULTS


def test_keys_of_a_later_version_are_passed_over(tmp_path: Path, scores: list[UtteranceScore]) -> None:
    path = write_results(tmp_path, RESULTS, scores) / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"later": 1}))
    assert read_results(path.parent) == RESULTS


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No results at"),
        ("{", "is not a results file"),
        ("[]", "is not a results file"),
        ("{}", "lacks the key 'recipe'"),
    ],
)
def test_missing_or_damaged_results_are_refused(tmp_path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(RunError, match=sentence):
        read_results(tmp_path)


def test_the_table_shows_rates_in_per_cent_and_columns_in_line() -> None:
    table = results_table([RESULTS, replace(RESULTS, recipe="digits", decoder="beam", wer=0.0041, train_seconds=7261)])
    headings, first, second = table.splitlines()
    assert (
        " ".join(first.split())
        == "an4 lstm-1a2b3c4d test greedy 8.79 6.12 - 12.04 3.15 - 93.53 40 10 18 130 0:13:03 4.40 M"
    )
    assert second.split()[:5] == ["digits", "lstm-1a2b3c4d", "test", "beam", "0.41"]
    assert "2:01:01" in second
    assert headings.split()[-1] == "parameters"
    assert len(headings) == len(first) == len(second)
    assert headings.index("WER %") + len("WER %") == first.index("8.79") + len("8.79")


def test_a_split_in_which_nothing_differs_has_no_interval(scores: list[UtteranceScore]) -> None:
    one, right = scores[:1], [with_texts(score, "A B", "A B") for score in scores]
    for same in (one, right):
        table = results_table([replace(RESULTS, **split_figures(same))])
        assert "none" in table.splitlines()[1].split() and " - " not in table.splitlines()[1]


def test_sentence_errors_and_correct_words_are_told(scores: list[UtteranceScore]) -> None:
    figures = split_figures([*scores, with_texts(scores[0], "GRÜN", "GRÜN")])
    assert (figures["correct"], figures["ser"]) == (2, 2 / 3)
    results = replace(RESULTS, **figures)
    assert json.loads(results_json(results))["ser"] == pytest.approx(2 / 3)
    assert results_table([results]).splitlines()[1].split()[9:11] == ["66.67", "50.00"]
    assert "ser" not in json.loads(results_json(RESULTS)), "of an earlier version"


def test_the_command_is_quoted_for_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["/somewhere/asr/__main__.py", "train", "an4", "tokenizer.alphabet= 'AB", "model=gru"]
    )
    assert provenance.command() == """asr train an4 'tokenizer.alphabet= '"'"'AB' model=gru"""


def test_the_command_keeps_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["asr", "train", "an4", "tracker.api_key=12=34", "WANDB_API_KEY=abc", "tokenizer=char"]
    )
    kept = provenance.command()
    assert "12" not in kept
    assert "34" not in kept
    assert "abc" not in kept
    assert kept.endswith("tokenizer=char")


def test_what_began_a_training_is_read_back(tmp_path: Path) -> None:
    assert kept_provenance(tmp_path) is None
    keep_provenance(tmp_path, {"config_hash": "01234567"})
    assert kept_provenance(tmp_path) == provenance.provenance()
    assert kept_identity(tmp_path) == {"config_hash": "01234567"}
    (tmp_path / "provenance.json").write_text("{}")
    assert kept_identity(tmp_path) == {}
    with pytest.raises(RunError, match="is damaged: delete it"):
        kept_provenance(tmp_path)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(
        ["git", *identity, "-C", folder, *arguments], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def test_the_commit_says_whether_files_were_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    git(tmp_path, "init")
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    git(tmp_path, "tag", "-a", "v1", "-m", "one")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commit() == head
    (tmp_path / "code.py").write_text("2\n")
    assert provenance.commit() == f"{head}+dirty"
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert provenance.commit() == f"{head}+dirty", "a checkout that another user owns, as on a cluster"


def test_a_package_inside_a_foreign_checkout_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "code.py").write_text("1\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    monkeypatch.setattr(provenance, "CHECKOUT", installed)
    assert provenance.commit() is None


def test_without_git_or_with_a_damaged_checkout_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    monkeypatch.setattr(provenance, "CHECKOUT", tmp_path)
    assert provenance.commit() is None
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None


def test_the_hardware_is_named_with_its_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Some GPU")
    named = provenance.hardware()
    assert " core" in named
    assert named.endswith(", 2 x Some GPU")
