"""Transcripts are normalized by the rules of their language, and every script passes through the tokenizers."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from asr.common.errors import ConfigError
from asr.settings.text import Case, TextConfig
from asr.settings.tokenizer import TokenizerConfig, TokenizerKind
from asr.text.normalization import change_case, doubtful_letters, normalize
from asr.text.tokenizer import build_tokenizer, load_tokenizer


@pytest.mark.parametrize(
    ("language", "case", "text", "normal"),
    [
        ("en", Case.lower, "“Don\u2019t,” she said — 'twas well-known!", "don't she said twas well known"),
        ("en", Case.upper, "The 3rd of 21 cars costs 1,234.5", "THE THIRD OF TWENTY ONE CARS COSTS ONE THOUSAND TWO "
         "HUNDRED AND THIRTY FOUR POINT FIVE"),
        ("de", Case.lower, "Es sind 1.234,5 Liter; Straße", "es sind eintausendzweihundertvierunddreißig komma fünf "
         "liter straße"),
        ("fr", Case.lower, "L\u2019été, c\u2019est 80 jours", "l'été c'est quatre vingts jours"),
        ("tr", Case.upper, "iyi ışık 2", "İYİ IŞIK İKİ"),
        ("tr", Case.lower, "İYİ IŞIK", "iyi ışık"),
        ("az", Case.lower, "İYİ IŞIQ", "iyi ışıq"),
        ("ru", Case.lower, "Ёлка и 5 звёзд…", "ёлка и пять звёзд"),
        ("el", Case.lower, "ΟΔΟΣ, ΜΑΣ", "οδος μας"),
        ("el", Case.keep, "οδοσ μας ςήμα", "οδος μας σήμα"),
        ("el", Case.upper, "προΰπηρξε ΐ", "ΠΡΟΫΠΗΡΞΕ Ϊ"),
        ("tr", Case.lower, "İSTANBUL ISPARTA", "istanbul ısparta"),
        ("tr", Case.upper, "i\u0307stanbul", "İSTANBUL"),
        ("az", Case.keep, "i\u0307ki", "iki"),
        ("de", Case.upper, "Straße, Masse", "STRA\u1e9eE MASSE"),
        ("de", Case.lower, "STRA\u1e9eE", "straße"),
        ("de", Case.lower, "İzmir", "izmir"),
        ("nl", Case.lower, "\u0132sselmeer, ĳs en IJs", "ijsselmeer ijs en ijs"),
        ("ar", Case.keep, "لديه ٣ كتب؟", "لديه ثلاثة كتب"),
        ("he", Case.keep, "שלום, עולם!", "שלום עולם"),
        ("fa", Case.keep, "می\u200cروم، خانه", "می\u200cروم خانه"),
        ("hi", Case.keep, "नमस्ते, दुनिया।", "नमस्ते दुनिया"),
        ("ja", Case.keep, "東京、大阪。", "東京 大阪"),
        ("en", Case.keep, "cafe\u0301 50 % $", "café fifty % $"),
        ("en", Case.keep, "soft\u00adhyphen \ufeffmark", "softhyphen mark"),
    ],
)  # fmt: skip
def test_a_text_in_its_normal_form(language: str, case: Case, text: str, normal: str) -> None:
    config = TextConfig(True, language, case, numbers=True)
    assert normalize(text, config) == normal
    assert normalize(normal, config) == normal, "once is enough"
    assert unicodedata.is_normalized("NFC", normal)


def test_numbers_need_a_language_that_has_words_for_them() -> None:
    assert normalize("no digits", TextConfig(True, None, Case.keep, numbers=True)) == "no digits"
    assert normalize("5", TextConfig(True, None, Case.keep, numbers=False)) == "5"
    with pytest.raises(ConfigError, match=r"needs text\.language"):
        normalize("5", TextConfig(True, None, Case.keep, numbers=True))
    with pytest.raises(ConfigError, match=r"text\.language=xx has no words"):
        normalize("5", TextConfig(True, "xx", Case.keep, numbers=True))


@pytest.mark.parametrize(
    ("text", "case", "letters"),
    [
        ("İSTANBUL", Case.lower, ["İ"]),
        ("ışık ve iyi", Case.upper, ["ı"]),
        ("Straße", Case.upper, ["ß"]),
        ("προΰπηρξε", Case.upper, ["ΰ"]),
        ("İSTANBUL", Case.upper, ["İ"]),
        ("Straße", Case.lower, []),
        ("Straße İ", Case.keep, []),
    ],
)
def test_letters_whose_case_depends_on_the_language_are_doubtful_without_it(
    text: str, case: Case, letters: list[str]
) -> None:
    config = TextConfig(True, None, case, numbers=False)
    assert doubtful_letters(text, config) == letters
    assert doubtful_letters(text, replace(config, language="en")) == []
    assert "\u0307" not in unicodedata.normalize("NFD", normalize(text, config).replace("İ", ""))


def test_only_turkic_languages_have_two_letters_i() -> None:
    assert [change_case("i", Case.upper, language) for language in ("tr", "az", "de", None)] == ["İ", "İ", "I", "I"]


SCRIPTS = {
    "latin": ["ağrı dağı", "iyi günler", "über straße"],
    "cyrillic": ["съешь ещё этих", "мягких булок"],
    "greek": ["ταχίστη αλώπηξ", "βαφής ψημένη γη"],
    "hebrew with points": ["שָׁלוֹם עוֹלָם", "בְּרֵאשִׁית"],
    "arabic with marks": ["مَرْحَبًا بِالعَالَم", "صِف خَلقَ"],
    "persian with joiners": ["می\u200cروم خانه", "کتاب\u200cها"],
    "devanagari": ["नमस्ते दुनिया", "क्षत्रिय"],
    "thai": ["สวัสดีชาวโลก", "กำลัง"],
    "han": ["你好 世界", "東京大阪"],
    "hangul": ["안녕하세요 세계", "한국어"],
    "beyond the first plane": ["𐐨𐑌 𐐨𐑌", "𝄞𝄞"],
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("kind", [TokenizerKind.char, TokenizerKind.bpe])
def test_any_script_comes_back_as_it_was(kind: TokenizerKind, script: str, tmp_path: Path) -> None:
    texts = [unicodedata.normalize("NFC", text) for text in SCRIPTS[script]]
    characters = set("".join(texts)) - {" "}
    config = TokenizerConfig(kind, None, pieces=len(characters) + 5, lexicon=None, g2p=None)
    tokenizer = build_tokenizer(config, texts)
    tokenizer.save(tmp_path)
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert load_tokenizer(tmp_path).decode(tokenizer.encode(text)) == text
