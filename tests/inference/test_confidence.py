"""The confidence of words, and how far it can be trusted."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.commands.cli import main
from asr.common.errors import DataError, RunError
from asr.data.manifest import write_manifest
from asr.inference import finished_run
from asr.inference.calibration import calibration, fit_confidence
from asr.inference.confidence import ConfidenceMap, read_confidence, word_evidence, write_confidence
from asr.inference.forced_alignment import align, word_spans
from asr.model.folder import save_model
from asr.scoring.error_rates import right_words
from asr.text.char import CharTokenizer
from tests.helpers.corpora import write_corpus
from tests.helpers.tone_recognizer import tone_recognizer


def test_figures_are_those_worked_by_hand() -> None:
    found = calibration(np.array([0.95, 0.95, 0.95, 0.55]), np.array([1.0, 1.0, 0.0, 1.0]))
    assert [(one.words, one.right) for one in found.bins] == [(1, 1.0), (3, pytest.approx(2 / 3))]
    assert found.ece == pytest.approx((0.45 + 3 * (0.95 - 2 / 3)) / 4)
    prior = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    entropy = -(2 * np.log2(0.95) + np.log2(0.05) + np.log2(0.55)) / 4
    assert found.nce == pytest.approx((prior - entropy) / prior)
    assert calibration(np.full(4, 0.75), np.array([1.0, 1.0, 0.0, 1.0])).nce == pytest.approx(0)


def test_the_map_that_made_the_words_is_found_again() -> None:
    random = np.random.default_rng(0)
    evidence = random.normal(size=(4000, 3)) * (0.1, 2.0, 1.0) + (0.9, -1.0, 0.0)
    truth = ConfidenceMap((8.0, 0.5, -0.7), -6.0)
    right = (random.random(4000) < truth(evidence)).astype(float)
    fitted = fit_confidence(evidence, right)
    assert np.allclose(fitted.weights, truth.weights, rtol=0.25) and fitted.bias == pytest.approx(truth.bias, rel=0.2)
    assert calibration(fitted(evidence), right).ece < 0.02
    with pytest.raises(DataError, match="4000 of 4000 words of dev are correct"):
        fit_confidence(evidence, np.ones(4000))


def test_evidence_of_a_word_is_that_of_its_tokens_and_its_utterance() -> None:
    tokenizer = CharTokenizer(" AB")
    path = [2, 2, 3, 0, 1, 3]  # AB B
    best = torch.tensor([0.6, 0.8, 0.5, 0.9, 0.9, 0.7])
    log_probs = ((1 - best) / 3)[:, None].repeat(1, 4).scatter(1, torch.tensor(path)[:, None], best[:, None]).log()
    (alignment,) = align(log_probs[:, None], torch.tensor([6]), [tokenizer.encode("AB B")])
    assert alignment is not None
    evidence = word_evidence(alignment, word_spans(alignment, tokenizer))
    whole = float(best.log().sum()) / 4
    assert np.allclose(evidence, [[0.65, np.log(0.5), whole], [0.7, np.log(0.7), whole]], atol=1e-5)
    assert word_evidence(alignment, []).shape == (0, 3)


def test_right_words_are_those_of_the_alignment() -> None:
    assert right_words("A B C", ["A", "X", "C", "D"]) == [True, False, True, False]
    assert right_words("", ["A"]) == [False] and right_words("A", []) == []


def test_a_map_is_kept_and_a_damaged_one_named(tmp_path: Path) -> None:
    assert read_confidence(tmp_path) is None
    fitted = ConfidenceMap((1.0, 2.0, 3.0), 4.0)
    write_confidence(tmp_path, fitted, "dev")
    assert read_confidence(tmp_path) == fitted
    (tmp_path / "confidence.json").write_text("{}")
    with pytest.raises(RunError, match=r"run `asr calibrate .*` again"):
        read_confidence(tmp_path)


def test_a_run_is_calibrated_on_dev_and_its_transcripts_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tones = tone_recognizer()
    run = tmp_path / "runs" / "an4" / "lstm-1"
    save_model(run / "model", tones.model, tones.config, tones.tokenizer)
    shutil.copy(run / "model" / "config.yaml", run / "config.yaml")
    monkeypatch.setattr(finished_run, "load", lambda folder, device="cpu": tones)
    splits = write_corpus(tmp_path / "data" / "an4", {"train": ["A"], "dev": ["AB CD"] * 5, "test": ["AB CD", "EF"]})
    # The transcript of one utterance is wrong.
    wrong = [dataclasses.replace(splits["dev"][0], text="AB XY"), *splits["dev"][1:]]
    write_manifest(tmp_path / "data" / "an4" / "dev.jsonl", wrong)

    def transcribed() -> list[float | None]:
        assert main(["transcribe", str(run), str(splits["test"][0].audio_filepath), "--format=json"]) == 0
        return [word["confidence"] for word in json.loads(capsys.readouterr().out)["words"]]

    assert transcribed() == [None, None]
    assert main(["calibrate", str(run), f"--data={tmp_path / 'data'}"]) == 0
    assert "dev: 10 words, 90.0 % correct" in capsys.readouterr().out
    # Nothing tells the wrong word from the others here, so every word has the share of correct words as confidence.
    assert transcribed() == [pytest.approx(0.9, abs=0.03)] * 2
    rows = [json.loads(line) for line in (run / "calibration/dev/words.jsonl").read_text().splitlines()]
    assert [(row["word"], row["right"]) for row in rows[:2]] == [("AB", True), ("CD", False)]
    figures = json.loads((run / "calibration/test/calibration.json").read_text())
    assert (figures["words"], figures["right"]) == (3, 1.0)
    assert (run / "calibration/test/reliability.png").stat().st_size > 1000
