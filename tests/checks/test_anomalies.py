"""A model finds transcripts that do not belong to their audio."""

import dataclasses
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from asr.batching.dataset import Dataset
from asr.checks import anomalies
from asr.checks.anomalies import Anomaly, rank
from asr.checks.findings import ANOMALY, FINDINGS, Severity, read_findings
from asr.checks.transcript_fit import SplitEvidence, UsualPace, find_evidence, speeds_to_try, word_paces
from asr.commands import check
from asr.common.errors import ConfigError, RunError
from asr.data.manifest import manifest_checksum, read_manifest, write_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.inference.forced_alignment import WordSpan
from asr.inference.recognizer import Recognizer
from asr.model.folder import save_model
from asr.report.page import describe
from asr.settings.compose import compose
from asr.settings.recipe import Recipe, find_recipe
from asr.settings.root import Config
from tests.helpers.corpora import write_corpus, write_utterance
from tests.helpers.models import random_recognizer
from tests.helpers.tone_recognizer import tone_recognizer, words

ROOT = Path(__file__).parents[2]
Corpus = dict[str, list[Utterance]]


@pytest.fixture
def recipe() -> Recipe:
    return find_recipe("an4")


@pytest.fixture
def config(recipe: Recipe, tmp_path: Path) -> Config:
    overrides = [f"paths.data={tmp_path}", "name=test", "tokenizer=char", "hardware.threads=1", "hardware.workers=0"]
    return compose(recipe, [*overrides, "check.model=a model"])


@pytest.fixture
def corpus(recipe: Recipe, config: Config) -> Corpus:
    """24 utterances of train, of which 3 and 8 have each other's transcript, and two pairs in test."""
    texts = {"train": [words(3, seed) for seed in range(24)]}
    texts |= {
        split: [words(3, seed) for seed in range(first, first + 6)] for split, first in (("dev", 30), ("test", 40))
    }
    corpus = write_corpus(recipe.data(config), texts)
    exchange(corpus["train"], 3, 8)
    exchange(corpus["test"], 1, 2)
    for split in SPLITS:
        write_manifest(recipe.manifest(config, split), corpus[split])
    return corpus


def exchange(utterances: list[Utterance], one: int, other: int) -> None:
    texts = utterances[one].text, utterances[other].text
    utterances[one] = dataclasses.replace(utterances[one], text=texts[1])
    utterances[other] = dataclasses.replace(utterances[other], text=texts[0])


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch) -> Recognizer:
    recognizer = tone_recognizer()
    monkeypatch.setattr(anomalies, "open_recognizer", lambda config, device: recognizer)
    monkeypatch.setattr(anomalies, "speeds_to_try", lambda config: (1.0,))  # it tells tones by their pitch
    return recognizer


def ranked(utterances: list[Utterance], recognizer: Recognizer, seconds: float = 60) -> list[Anomaly]:
    return rank("train", utterances, [evidence_of(utterances, recognizer, 1.0, seconds)])


def evidence_of(
    utterances: list[Utterance], recognizer: Recognizer, speed: float, seconds: float = 60
) -> SplitEvidence:
    config = dataclasses.replace(
        recognizer.config,
        batching=dataclasses.replace(recognizer.config.batching, max_device_seconds=seconds),
        hardware=dataclasses.replace(recognizer.config.hardware, workers=0),
    )
    return find_evidence("train", Dataset(utterances, None, None, 1), speed, recognizer, config)


def test_exchanged_transcripts_come_first_and_score_as_foreign_ones(corpus: Corpus, tones: Recognizer) -> None:
    utterances = corpus["train"]
    ranking = ranked(utterances, tones)
    assert {anomaly.id for anomaly in ranking[:2]} == {"train-3", "train-8"}
    assert all(0.7 < anomaly.score < 1.4 for anomaly in ranking[:2])
    assert all(abs(anomaly.score) < 0.2 for anomaly in ranking[2:])
    assert len(ranking) == 24
    assert ranking[0].hypothesis.strip() == corpus["train"][8 if ranking[0].id == "train-3" else 3].text


def test_what_the_batch_is_made_of_changes_no_score(corpus: Corpus, tones: Recognizer) -> None:
    alone, together = (ranked(corpus["train"], tones, seconds) for seconds in (1, 1000))
    assert alone == together


def test_a_word_that_is_missing_scores_below_a_foreign_transcript(corpus: Corpus, tones: Recognizer) -> None:
    utterances = corpus["train"]
    utterances[5] = dataclasses.replace(utterances[5], text=utterances[5].text.rsplit(" ", 1)[0])
    ranking = ranked(utterances, tones)
    assert [anomaly.id for anomaly in ranking].index("train-5") == 2
    assert 0.05 < ranking[2].score < ranking[1].score


def test_transcripts_that_cannot_be_compared_are_passed_over(corpus: Corpus, tones: Recognizer) -> None:
    utterances = corpus["train"]
    for number, text in ((0, ""), (1, "CAF\u00c9"), (2, words(200, 1))):
        utterances[number] = dataclasses.replace(utterances[number], text=text)
    assert {int(anomaly.id.split("-")[1]) for anomaly in ranked(utterances, tones)} == set(range(3, 24))


def test_check_warns_and_ranks_in_table_json_and_report(
    corpus: Corpus, recipe: Recipe, config: Config, tones: Recognizer, capsys: pytest.CaptureFixture[str]
) -> None:
    check.run(recipe, config)
    lines = [line for line in capsys.readouterr().out.splitlines() if "the model recognizes" in line]
    checksums = {split: manifest_checksum(recipe.manifest(config, split)) for split in SPLITS}
    findings = read_findings(recipe.data(config) / FINDINGS, checksums)
    assert findings is not None
    found = [finding for finding in findings if finding.kind == ANOMALY]
    names = {("train", "train-3"), ("train", "train-8"), ("test", "test-1"), ("test", "test-2")}
    assert {(finding.split, finding.utterance) for finding in found} == names
    assert all(finding.severity is Severity.warning for finding in found)
    assert lines == [str(finding) for finding in found]
    rows = [json.loads(line) for line in (recipe.data(config) / anomalies.RANKING).read_text().splitlines()]
    assert [(row["split"], row["id"]) for row in rows[:4]] == [(one.split, one.utterance) for one in found]
    assert len(rows) == 36 and all(one["score"] >= other["score"] for one, other in pairwise(rows))
    assert describe(corpus, findings)["findings"][0]["id"] == found[0].utterance


def test_fix_leaves_anomalies_out_of_train_only_where_that_is_asked_for(
    corpus: Corpus, recipe: Recipe, config: Config, tones: Recognizer
) -> None:
    config.check.fix = True
    check.run(recipe, config)
    assert read_manifest(recipe.manifest(config, "train")) == corpus["train"]
    config.check.fix_anomalies = True
    check.run(recipe, config)
    kept = [one for one in corpus["train"] if one.id not in ("train-3", "train-8")]
    assert read_manifest(recipe.manifest(config, "train")) == kept
    assert read_manifest(recipe.manifest(config, "test")) == corpus["test"]


def test_the_threshold_says_what_is_a_finding(
    corpus: Corpus, recipe: Recipe, config: Config, tones: Recognizer, capsys: pytest.CaptureFixture[str]
) -> None:
    config.check.anomaly = 5.0
    check.run(recipe, config)
    assert "the model recognizes" not in capsys.readouterr().out


def test_utterances_with_errors_are_not_compared(
    corpus: Corpus, recipe: Recipe, config: Config, tones: Recognizer, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus["train"][0].audio_filepath.unlink()
    config.check.fix = True
    check.run(recipe, config)
    out = capsys.readouterr().out
    assert "left out of train: train-0" in out and "Utterance train-3" in out
    assert "train-0" not in (recipe.data(config) / anomalies.RANKING).read_text()


def test_a_model_that_knows_nothing_says_so_and_loses_no_other_finding(
    corpus: Corpus,
    recipe: Recipe,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recognizer = random_recognizer(["features.normalization=utterance"], [])
    monkeypatch.setattr(anomalies, "open_recognizer", lambda config, device: recognizer)
    corpus["train"][1] = dataclasses.replace(corpus["train"][1], text="TWO  WORDS")
    write_manifest(recipe.manifest(config, "train"), corpus["train"])
    check.run(recipe, config)
    out = capsys.readouterr().out
    assert "warning in train: The model of check.model knows too little" in out
    assert "train-1" in out and "Utterance train-3" not in out


def test_a_folder_without_a_model_is_one_sentence(recipe: Recipe, config: Config, corpus: Corpus) -> None:
    with pytest.raises(RunError, match=r"No trained model at a model: .* check\.model"):
        check.run(recipe, config)


def test_a_model_of_another_rate_is_refused(config: Config, tmp_path: Path) -> None:
    recognizer = random_recognizer(["features.normalization=utterance"], [])
    recognizer.config.data.sampling_rate = 8000
    config.check.model = str(tmp_path)
    save_model(tmp_path, recognizer.model, recognizer.config, recognizer.tokenizer)
    with pytest.raises(ConfigError, match=r"sampling rate of 8000 Hz.*16000 Hz"):
        anomalies.open_recognizer(config, "cpu")


def test_a_model_is_also_tried_at_speeds_beyond_its_training(config: Config) -> None:
    config.augment.speed_factors = [1.0, 0.9, 1.1]
    assert speeds_to_try(config) == (0.8, 1.0, 1.2)


def test_speeds_count_alike_and_what_does_not_fit_at_one_is_judged_by_the_others(
    corpus: Corpus, tones: Recognizer
) -> None:
    """Played twice as fast, tones are others, and a transcript of many letters has too few frames."""
    corpus["train"][5] = dataclasses.replace(corpus["train"][5], text="AB" * 12)
    natural, fast = (evidence_of(corpus["train"], tones, speed) for speed in (1.0, 2.0))
    assert len(natural) == 24 and fast.keys() == natural.keys() - {5}
    alone = {anomaly.id: anomaly.score for anomaly in rank("train", corpus["train"], [natural])}
    both = {anomaly.id: anomaly.score for anomaly in rank("train", corpus["train"], [natural, natural, fast])}
    assert alone.keys() == both.keys()
    for number in range(24):
        name = f"train-{number}"
        assert (both[name] == pytest.approx(alone[name])) == (number not in fast)


def word(start: int, end: int, tokens: int) -> WordSpan:
    return WordSpan("W", start, end, 0, tokens, 0.0)


def test_squeezed_and_stretched_words_are_counted() -> None:
    usual = [word_paces([word(at, at + 8, 4) for at in range(0, 100, 10)], 100)] * 5
    pace = UsualPace.of(usual)
    assert pace.squeezed(usual[0]) == pace.stretched(usual[0]) == 0
    squeezed = word_paces([word(0, 4, 4), word(4, 8, 4), word(8, 16, 4)], 18)
    assert (pace.squeezed(squeezed), pace.stretched(squeezed)) == (2, 0)
    stretched = word_paces([word(0, 60, 4), word(70, 78, 4), word(90, 91, 1)], 100)
    assert (pace.squeezed(stretched), pace.stretched(stretched)) == (0, 1)
    assert np.isnan(stretched[2, 1])


@pytest.mark.slow
def test_transcripts_exchanged_before_a_training_are_found_by_its_model(tmp_path: Path) -> None:
    """Twelve of 120; the model has learnt from the wrong ones too."""
    for number in range(150):
        path = tmp_path / "source" / f"{number:03}.wav"
        text = write_utterance(path, words(3, number, "ABCDEFGH"), seed=number).text
        path.with_suffix(".txt").write_text(text)
    command = [sys.executable, "tools/benchmark/anomalies.py", str(tmp_path), "--recipe", "own", "--share", "0.1"]
    settings = [f"data.source={tmp_path / 'source'}", "tracker=disabled", "hardware.threads=1", "hardware.workers=0"]
    settings += ["model.hidden=48", "model.channels=8", "model.layers=2", "model.subsampling=4", "model.dropout=0.2"]
    settings += [
        "model.blank_bias=3",
        "batching.global_seconds=15",
        "training.epochs=20",
        "optimizer.learning_rate=5e-3",
    ]
    done = subprocess.run([*command, *settings], cwd=ROOT, check=True, capture_output=True, text=True, timeout=1800)
    exchanged, precision, warnings = done.stdout.splitlines()[-3:]
    assert exchanged == "own, seed 1: 12 of 120 transcripts exchanged"
    assert float(precision.removeprefix("average precision ")) >= 0.9, done.stdout
    assert int(warnings.split()[-1]) >= 6, done.stdout
