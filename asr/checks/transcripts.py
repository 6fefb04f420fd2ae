"""What is wrong with transcripts that a tokenizer accepts, and with their length for their audio."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from asr.checks.findings import Finding, Problem, warning
from asr.data.utterance import Utterance

INSIDE_WORDS = frozenset("'-\u2019\u02bc\u2010\u00b7")
"""Punctuation that belongs to words in many languages: apostrophes, hyphens, the Catalan dot."""

INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Cs")
"""Unicode categories that show nothing: control, format, private, unassigned, surrogate."""

JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of the spelling in Persian and in Indic scripts."""

SPELLINGS = (
    (r"\w*[ij]\u0307(?![\u0300-\u036f])\w*", "U+0307 (a dot that lower-casing has left of \u0130)", "tr"),
    (r"\w+\u03c3\b", "\u03c3 (U+03C3) at the end of a word, for \u03c2,", "el"),
    (r"\w*\u03c2\w+", "\u03c2 (U+03C2) within a word, for \u03c3,", "el"),
    (r"\w*[\u0132\u0133]\w*", "one character for two letters", "nl"),
)
"""Patterns of words, what is wrong with them, and a language whose rules put it right."""

ALPHABETS = ("LATIN", "CYRILLIC", "GREEK")
"""Scripts whose letters look alike."""


def transcript_problems(text: str) -> Iterator[Problem]:
    """What is wrong with a transcript, each kind once, with the code points of the characters concerned."""
    hidden = [c for c in text if (unicodedata.category(c) in INVISIBLE and c not in JOINERS) or c == "\ufffd"]
    if hidden:
        yield warning("odd character", f"the transcript contains {_named(hidden)}, which is not spoken; remove it.")
    spaces = [c for c in text if c.isspace() and c != " " and c not in hidden]
    if spaces:
        yield warning("odd character", f"the transcript contains {_named(spaces)} as a space; use U+0020.")
    elif text != " ".join(text.split(" ")).strip() or "  " in text:
        yield warning("spaces", "the transcript has leading, trailing or repeated spaces; remove them.")
    if text != unicodedata.normalize("NFC", text):
        odd = [c for c in text if unicodedata.combining(c)] or [c for c in text if unicodedata.normalize("NFC", c) != c]
        yield warning(
            "not in NFC",
            f"the transcript has {_named(odd)} apart from its letter; compose it (Unicode NFC), so that each word has "
            "one spelling.",
        )
    if _decoded_wrongly(text):
        yield warning(
            "wrong encoding",
            f"the transcript {_short(text)} is UTF-8 that was read as another encoding; read it as UTF-8.",
        )
        return
    numbers = [word for word in text.split() if any(_is_numeral(c) for c in word)]
    if numbers:
        yield warning(
            "digits",
            f"the transcript {_short(text)} has digits, in {_listed(numbers)}; write numbers as they are said.",
        )
    if not text.isascii():
        yield from _spelling_problems(text)
    marks = [c for c in text if unicodedata.category(c)[0] in "PS" and c not in INSIDE_WORDS]
    if marks:
        yield warning("punctuation", f"the transcript {_short(text)} has {_named(marks)}; remove what is not spoken.")
    mixed = next((word for word in text.split() if len(_scripts(word)) > 1), None)
    if mixed is not None:
        yield warning(
            "mixed scripts",
            f"the word {mixed!r} mixes {' and '.join(sorted(_scripts(mixed)))} letters that look alike: "
            f"{_named(_foreign(mixed))}; use one script.",
        )


def _spelling_problems(text: str) -> Iterator[Problem]:
    """Letters that a change of case without the rules of their language leaves, and letters with two spellings."""
    for pattern, what, language in SPELLINGS:
        if found := re.search(pattern, text):
            yield warning(
                "spelling",
                f"the transcript {_short(text)} has {what} in {found[0]!r}; prepare it with text.normalize=true and "
                f"text.language, such as {language}.",
            )


def _is_numeral(character: str) -> bool:
    return unicodedata.category(character)[0] == "N" and character != "\u3007"  # a Chinese zero, which is a word


def _decoded_wrongly(text: str) -> bool:
    """Whether the text becomes shorter, and stays a text, when it is encoded again and read as UTF-8."""
    if text.isascii():
        return False
    for encoding in ("cp1252", "latin-1"):
        try:
            if len(text.encode(encoding).decode("utf-8")) < len(text):
                return True
        except UnicodeError:
            continue
    return False


def _scripts(word: str) -> set[str]:
    names = (unicodedata.name(c, "") for c in word if c.isalpha())
    return {name.split(" ")[0] for name in names} & set(ALPHABETS)


def _foreign(word: str) -> list[str]:
    """The letters of the script with the fewest letters in a word."""
    by_script = {script: [c for c in word if unicodedata.name(c, "").startswith(script)] for script in _scripts(word)}
    return min(by_script.values(), key=len)


def _named(characters: list[str]) -> str:
    different = list(dict.fromkeys(characters))
    names = [
        f"U+{ord(c):04X} ({unicodedata.name(c, 'unnamed')})"
        if not c.isprintable() or unicodedata.combining(c)
        else f"{c!r} (U+{ord(c):04X})"
        for c in different[:3]
    ]
    return ", ".join(names) + (", ..." if len(different) > 3 else "")


def _listed(words: list[str]) -> str:
    return ", ".join(map(repr, words[:3])) + (", ..." if len(words) > 3 else "")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


FEWEST = 20
"""Utterances that a corpus needs for a usual rate."""
SHORT_SECONDS = 0.1
LONG_SECONDS = 30.0
LONG_TIMES = 8.0
"""Of the median, in addition to LONG_SECONDS."""
FAST = 35.0
"""Characters per second beyond any speech in an alphabetic script; auctioneers reach about 25."""
SLOW_SECONDS = 10.0
"""For each character: more was said than was transcribed."""
DEVIATIONS = 6.0
"""Of the logarithm of the rate, in robust standard deviations."""
TIMES = 3.0
"""A rate must also be off by this factor, because a corpus may be very uniform."""


def pace_findings(named: Sequence[tuple[str, Utterance]]) -> list[Finding]:
    """Findings about utterances that are far too long or short, or spoken far too fast or slowly.

    Rates are characters per second, without spaces. They are compared among utterances of similar length: a short one
    is mostly the silence around it.
    """
    if not named:
        return []
    seconds = np.array([utterance.duration for _, utterance in named])
    letters = np.array([len("".join(utterance.text.split())) for _, utterance in named])
    rates = letters / seconds
    usual, deviation = _expected(np.log(seconds), np.log(np.maximum(rates, 1e-3)))
    median = float(np.median(seconds))
    findings = []
    for number, (split, utterance) in enumerate(named):
        rate = float(rates[number])
        off = float(np.log(max(rate, 1e-3)) - usual[number])
        outlying = len(named) >= FEWEST and abs(off) > max(DEVIATIONS * deviation, np.log(TIMES))
        if seconds[number] < SHORT_SECONDS:
            problem = warning("too short", f"it lasts {utterance.duration:.3f} s; no word is that short.")
        elif seconds[number] > max(LONG_SECONDS, LONG_TIMES * median):
            problem = warning(
                "too long",
                f"it lasts {utterance.duration:.1f} s, while the median is {median:.1f} s; segment it, or "
                "whole batches are padded to its length.",
            )
        elif rate > FAST or letters[number] * SLOW_SECONDS < seconds[number] or outlying:
            problem = warning(
                "speaking rate",
                f"{letters[number]} characters in {utterance.duration:.1f} s are {rate:.1f} per second, while "
                f"{float(np.exp(usual[number])):.1f} are usual; does the transcript belong to this recording?",
            )
        else:
            continue
        findings.append(problem.about(split, utterance))
    return findings


def _expected(log_seconds: np.ndarray, log_rates: np.ndarray) -> tuple[np.ndarray, float]:
    """The usual logarithm of the rate at each length, as the median of similar lengths, and the spread around it."""
    order = np.argsort(log_seconds, kind="stable")
    expected = np.empty(len(order))
    # Groups of equal size, hundreds of utterances at most, so that each median is of its own length.
    groups = np.array_split(order, max(1, min(20, len(order) // 50)))
    for group in groups:
        expected[group] = np.median(log_rates[group])
    return expected, 1.4826 * float(np.median(np.abs(log_rates - expected)))
