"""A training on a script without spaces keeps the model with the lowest CER, says so, and is told apart."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asr.data.utterance import Utterance
from asr.inference.evaluation import Decoded, Measures
from asr.scoring.error_rates import score_utterance
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import read_results
from asr.settings.compose import load_config
from asr.settings.hardware import Precision
from asr.settings.recipe import find_recipe
from asr.settings.root import Config
from asr.settings.scoring import ScoringUnit
from asr.text.char import CharTokenizer
from asr.training.acoustic_task import AcousticTask
from asr.training.run_folder import find_run_folder
from asr.training.task import audio_unit
from asr.training.train_state import TrainState
from tests.helpers.configurations import composed
from tests.helpers.corpora import write_corpus
from tests.helpers.trainings import asr, run_folder

TEXTS = {
    "chinese": ["今天天气很好", "我们去公园吧"],
    "thai": ["วันนี้อากาศดีมาก", "ฉันชอบกินข้าว"],
    "burmese": ["ဒီနေ့ရာသီဥတုကောင်းတယ်", "ကျောင်းသွားမယ်"],
}


def validated(reference: str, hypothesis: str, unit: ErrorUnit) -> Any:
    """What a task makes of a dev split of one utterance."""
    score = score_utterance(Utterance("1", Path(), 0, 1.0, reference, "", 16000), hypothesis, unit)
    task: Any = object.__new__(AcousticTask)
    task.decode_dev = lambda *_: [Decoded(0, score, Measures(10, 5, 1.0, 3, 0.5), ())]
    task.error_unit, task.tokenizer = unit, CharTokenizer(" ")
    task.config = SimpleNamespace(tracker=SimpleNamespace(panel_utterances=1))
    return task.validate(None, None, None)


@pytest.mark.parametrize("script", TEXTS)
def test_the_best_model_has_the_lowest_cer_though_no_utterance_is_right(script: str) -> None:
    reference = TEXTS[script][0]
    epochs = [reference[:count] for count in (1, 3, 2)]
    for unit, best in ((ErrorUnit.character, 2), (ErrorUnit.word, 3)):
        state = TrainState()
        for epoch, hypothesis in enumerate(epochs, start=1):
            state.epoch = epoch
            validation = validated(reference, hypothesis, unit)
            assert validation.metrics["dev/wer"] == 1.0
            state.validated(validation.score)
        assert state.best_epoch == best


def test_a_validation_names_what_it_is_judged_by() -> None:
    text = TEXTS["thai"][0]
    by_characters = validated(text, text[:4], ErrorUnit.character)
    assert by_characters.sentence == "dev CER 75.00 %, WER 100.00 %"
    assert {"dev/cer_low", "dev/cer_high", "dev/wer_low"} <= by_characters.metrics.keys()
    assert by_characters.metrics["dev/deletions"] == 12
    by_words = validated(text, text[:4], ErrorUnit.word)
    assert by_words.sentence == "dev WER 100.00 %, CER 75.00 %"
    assert "dev/cer_low" not in by_words.metrics and by_words.metrics["dev/substitutions"] == 1
    assert (audio_unit(ErrorUnit.character).judged_by, audio_unit(ErrorUnit.word).judged_by) == ("dev CER", "dev WER")


def with_setting(config: Config, unit: str) -> Config:
    return replace(config, scoring=replace(config.scoring, unit=ScoringUnit[unit]))


@pytest.mark.parametrize("script", [*TEXTS, "english"])
def test_runs_of_words_keep_their_names_and_others_are_told_apart(script: str, tmp_path: Path) -> None:
    texts = TEXTS.get(script, ["ONE TWO", "THREE"])
    write_corpus(tmp_path / "an4", dict.fromkeys(("train", "dev", "test"), texts))
    config = composed("an4", f"paths.data={tmp_path}")
    found = {
        unit: find_run_folder(find_recipe("an4"), with_setting(config, unit), Precision.fp32).path
        for unit in ("auto", "word", "character")
    }
    assert found["word"] != found["character"]
    assert found["auto"] == found["word" if script == "english" else "character"]


def test_an_earlier_run_counts_in_words(tmp_path: Path) -> None:
    config = composed("an4")
    from asr.settings.compose import plain

    settings = plain(config)
    del settings["scoring"]
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    assert load_config(tmp_path / "config.yaml").scoring.unit is ScoringUnit.word


def test_training_and_evaluation_of_a_run_agree(tmp_path: Path) -> None:
    write_corpus(tmp_path / "data" / "an4", dict.fromkeys(("train", "dev", "test"), TEXTS["chinese"] * 2))
    ended = asr("run", "an4", tmp_path, ["training.epochs=2", "tokenizer.alphabet=null", "model.layers=1"])
    assert ended.returncode == 0
    run = run_folder(tmp_path, "an4")
    assert load_config(run / "config.yaml").scoring.unit is ScoringUnit.character
    assert read_results(run / "evaluation" / "test" / "greedy").unit is ErrorUnit.character
    said = ended.stdout + ended.stderr
    assert "Best dev CER" in said and "CER %" in said and "dev WER" not in said
    panel = json.loads((run / "panel.jsonl").read_text().splitlines()[0])["utterances"][0]
    assert "cer" in panel and len(panel["alignment"].replace("I", "")) == len(panel["reference"])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test/unit"] == "character" and "test/cer_low" in summary
