"""What errors are counted in follows the script of the references, and everything that is scored names it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr.commands.evaluate import results_table
from asr.data.utterance import Utterance
from asr.scoring.error_rates import UtteranceScore, score_texts, score_utterance, total
from asr.scoring.error_unit import ErrorUnit, error_unit, unit_of_texts
from asr.scoring.results import Results, aligned_errors, read_results, split_figures, write_results
from asr.settings.scoring import ScoringUnit
from tests.helpers.configurations import composed

CHARACTER, WORD = ErrorUnit.character, ErrorUnit.word

UNSPACED = {
    "chinese": (["今天天气很好", "我们去公园散步吧", "好"], "今天天汽好"),
    "japanese": (["今日はいい天気ですね", "カメラを買いました", "はい"], "今日はいい天きですね"),
    "thai": (["วันนี้อากาศดีมาก", "ฉันชอบกินข้าวผัด กับเพื่อนของฉันที่บ้าน"], "วันนี้อากาดดี"),
    "lao": (["ມື້ນີ້ອາກາດດີຫຼາຍ", "ຂ້ອຍມັກກິນເຂົ້າໜຽວ"], "ມື້ນີ້ອາກາດດີ"),
    "burmese": (["ဒီနေ့ရာသီဥတုကောင်းတယ်", "ကျွန်တော်ကျောင်းသွားမယ်"], "ဒီနေ့ရာသီကောင်းတယ်"),
    "khmer": (["ថ្ងៃនេះអាកាសធាតុល្អ", "ខ្ញុំចូលចិត្តញ៉ាំបាយ"], "ថ្ងៃនេះអាកាសល្អ"),
    "tibetan": (["དེ་རིང་གནམ་གཤིས་ཡག་པོ་འདུག"], "དེ་རིང་གནམ་ཡག་པོ་འདུག"),
}
SPACED = {
    "english": ["THE CAT SAT ON THE MAT", "YES"],
    "german compounds": ["donaudampfschifffahrtsgesellschaft", "rechtsschutzversicherungsgesellschaften"],
    "korean": ["오늘 날씨가 아주 좋네요", "저는 밥을 먹었습니다"],
    "vietnamese": ["hôm nay trời rất đẹp"],
    "hindi": ["आज मौसम बहुत अच्छा है"],
    "arabic": ["الطقس جميل اليوم"],
    "thai in words": ["วันนี้ อากาศ ดี มาก", "ฉัน ชอบ กิน ข้าวผัด"],
    "chinese in words": ["今天 天气 很 好", "我们 去 公园 散步 吧"],
    "english with a name": ["SHE LIVES IN 北京 NOW AND WORKS THERE"],
    "nothing": [],
}


@pytest.mark.parametrize("script", UNSPACED)
def test_scripts_without_spaces_are_counted_in_characters(script: str) -> None:
    assert unit_of_texts(UNSPACED[script][0]) is CHARACTER


@pytest.mark.parametrize("language", SPACED)
def test_words_between_spaces_are_counted_in_words(language: str) -> None:
    assert unit_of_texts(SPACED[language]) is WORD


def test_a_setting_wins_over_the_text() -> None:
    config, chinese = composed("yesno"), [Utterance("1", Path(), 0, 1.0, "今天天气很好", "", 8000)]
    assert error_unit(config, chinese) is CHARACTER
    for unit in (ErrorUnit.word, ErrorUnit.character):
        asked = replace(config, scoring=replace(config.scoring, unit=ScoringUnit[unit.name]))
        assert error_unit(asked, chinese) is unit


@pytest.mark.parametrize("script", UNSPACED)
def test_an_utterance_is_aligned_and_rated_by_its_characters(script: str) -> None:
    (reference, *_), hypothesis = UNSPACED[script]
    score = score_texts("1", "", 1.0, reference, hypothesis, CHARACTER)
    assert score.wer == 1.0 and 0 < score.cer < 0.5
    assert score.rate == score.cer and score.errors == score.character_errors
    assert len(score.alignment.replace("I", "")) == len(reference) == score.size
    by_words = score_texts("1", "", 1.0, reference, hypothesis)
    assert (by_words.rate, by_words.cer, by_words.alignment) == (1.0, score.cer, "S")
    assert total([score, score]).rate == score.cer


def results_of(script: str, unit: ErrorUnit) -> tuple[Results, str, list[UtteranceScore]]:
    references, hypothesis = UNSPACED[script]
    utterances = [Utterance(str(n), Path(), 0, 1.0, text, f"s{n}", 16000) for n, text in enumerate(references)]
    scores = [score_utterance(utterance, hypothesis, unit) for utterance in utterances]
    results = Results(
        **split_figures(scores), recipe="own", run="lstm-1", split="test", decoder="greedy", seed=1, parameters=1,
        train_seconds=1.0, audio_seconds=1.0, real_time_factor=0.1, hardware="", torch="2", command="asr", commit=None,
        config_hash="1",
    )  # fmt: skip
    return results, aligned_errors(scores), scores


@pytest.mark.parametrize("script", ["chinese", "thai", "khmer"])
def test_results_keep_their_keys_and_name_the_unit(script: str, tmp_path: Path) -> None:
    results, errors, scores = results_of(script, CHARACTER)
    folder = write_results(tmp_path, results, scores)
    assert read_results(folder) == results
    written = json.loads((folder / "results.json").read_text())
    assert written["unit"] == "character" and written["wer"] == 1.0
    assert written["cer_low"] <= written["cer"] <= written["cer_high"]
    assert written["substitutions"] + written["deletions"] + written["insertions"] == round(
        written["cer"] * written["characters"]
    )
    heading, line = results_table([results]).splitlines()
    assert heading.index("CER %") < heading.index("95 % interval") < heading.index("WER %")
    assert f"{100 * results.cer:.2f}  " in line
    assert f"CER {results.cer:.2%}  WER 100.00%" in errors and "*** is no character" in errors


def test_results_in_words_say_nothing_of_a_unit(tmp_path: Path) -> None:
    results, errors, scores = results_of("chinese", WORD)
    folder = write_results(tmp_path, results, scores)
    assert not {"unit", "characters", "cer_low", "cer_high"} & json.loads((folder / "results.json").read_text()).keys()
    assert read_results(folder).unit is WORD
    assert results_table([results]).split("WER %")[1].split()[:4] == ["95", "%", "interval", "CER"]
    assert "WER 100.00%  CER" in errors
    both = results_table([results, results_of("chinese", CHARACTER)[0]]).splitlines()
    assert [line.split()[4] for line in both if line.startswith("recipe")] == ["WER", "CER"]
