"""Texts that other toolkits normalized or scored wrongly, as their users reported."""

import unicodedata

import pytest

from asr.scoring.error_rates import score_texts
from asr.settings.text import Case, TextConfig
from asr.text.normalization import normalize


def normal(text: str, case: Case = Case.keep) -> str:
    return normalize(text, TextConfig(normalize=True, language=None, case=case, numbers=False))


@pytest.mark.parametrize("text", ["ABCČDÖF", "ΑΒΓΈΔ", "АБЁВ", "AB한C", "naïve"])
def test_a_word_stays_one_word_whatever_its_letters(text: str) -> None:
    """https://github.com/wenet-e2e/wenet/issues/2634: one word in error, not one of three."""
    assert normal(text) == text
    score = score_texts("one", "", 1.0, text, text[:-1] + "X")
    assert (score.words, score.errors, score.wer) == (1, 1, 1.0)


@pytest.mark.parametrize("text", ["قَالَ الرَّجُلُ", "שָׁלוֹם עוֹלָם", "مَرْحَبًا"])
def test_vowel_marks_split_no_word(text: str) -> None:
    """https://github.com/speechbrain/speechbrain/pull/1290"""
    assert normal(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text", ["എന്റെ കമ്പ്യൂട്ടറിനു് എന്റെ ഭാഷ", "प्राचीन संस्कृतियों और जनजातियों", "தமிழ் மொழி", "ภาษาไทย", "বাংলা ভাষা"]
)
def test_vowel_signs_of_brahmic_scripts_stay(text: str) -> None:
    """https://github.com/kurianbenoy/whisper_normalizer/issues/25, https://github.com/openai/whisper/pull/2849"""
    assert normal(text + "!") == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("\u0587", "\u0565\u0582"),  # Armenian
        ("o\ufb03ce \ufb01ve", "office five"),
        ("\ufefb", "\u0644\u0627"),  # Arabic, as some keyboards and PDFs have it
        ("\uff76\uff9e\uff72", "ガイ"),  # half-width kana
        ("\uff21\uff22\uff43", "ABc"),
        (unicodedata.normalize("NFD", "한국어 é"), "한국어 é"),
    ],
)
def test_two_ways_to_write_a_word_are_one(one: str, other: str) -> None:
    """https://github.com/NVIDIA-NeMo/Speech/pull/15343, https://github.com/google-research/bert/issues/135"""
    assert normal(one) == normal(other) == other


@pytest.mark.parametrize("text", ["\u0e33", "\u3131", "\u0133", "№", "½"])
def test_letters_that_only_resemble_others_stay(text: str) -> None:
    assert normal(text) == text
