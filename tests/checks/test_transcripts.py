"""Transcripts that a tokenizer accepts, but that nobody writes so."""
# ruff: noqa: RUF001  letters of many scripts

import pytest

from asr.checks.transcripts import transcript_problems


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("version 2.4.1 und 007", "digits", "in '2.4.1', '007'; write numbers as they are said"),
        ("½ liter", "digits", "in '½'"),
        ("i\u0307stanbul", "spelling", "U+0307 (a dot that lower-casing has left of İ) in 'i\u0307stanbul'"),
        ("o j\u0307", "spelling", "text.language, such as tr"),
        ("οδοσ μασ", "spelling", "σ (U+03C3) at the end of a word, for ς, in 'οδοσ'"),
        ("ςήμα", "spelling", "text.language, such as el"),
        ("\u0133sland", "spelling", "one character for two letters in '\u0133sland'"),
    ],
)
def test_the_word_and_the_remedy_are_named(text: str, kind: str, words: str) -> None:
    (found,) = [problem for problem in transcript_problems(text) if problem.kind == kind]
    assert words in found.message


@pytest.mark.parametrize(
    "text", ["ο δρόμος σας", "ijsland", "ışık İzmir", "二〇二四年", "Straße", "i\u0307\u0301", "nevidíš"]
)
def test_what_is_written_right_has_no_findings(text: str) -> None:
    assert [problem.message for problem in transcript_problems(text)] == []
