"""Reading transcripts: what a tokenizer accepts and is still wrong."""

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from asr.checks.findings import Complaint, Finding, warning
from asr.data.utterance import Utterance

INSIDE_WORDS = frozenset("'-\u2019\u02bc\u2010\u00b7")
"""Punctuation that belongs to words in many languages: apostrophes, hyphens, the Catalan dot."""

INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Cs")
"""Categories of Unicode without anything to see: control, format, private, unassigned, surrogate."""

JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of the spelling in Persian and in Indic scripts."""

ALPHABETS = ("LATIN", "CYRILLIC", "GREEK")
"""Scripts whose letters look alike."""


def transcript_complaints(text: str) -> Iterator[Complaint]:
    """What is wrong with a transcript, each kind once, with the code points of the odd characters."""
    hidden = [c for c in text if (unicodedata.category(c) in INVISIBLE and c not in JOINERS) or c == "\ufffd"]
    if hidden:
        yield warning("odd character", f"the transcript holds {_named(hidden)}, which nobody says; take it out.")
    spaces = [c for c in text if c.isspace() and c != " " and c not in hidden]
    if spaces:
        yield warning("odd character", f"the transcript holds {_named(spaces)} as a space; write U+0020.")
    elif text != " ".join(text.split(" ")).strip() or "  " in text:
        yield warning("spaces", "the transcript has spaces at an end or two in a row; take them out.")
    if text != unicodedata.normalize("NFC", text):
        odd = [c for c in text if unicodedata.combining(c)] or [c for c in text if unicodedata.normalize("NFC", c) != c]
        yield warning(
            "not in NFC",
            f"the transcript writes {_named(odd)} apart from its letter; compose it (Unicode NFC), lest the same word "
            "is spelled in two ways.",
        )
    if _decoded_wrongly(text):
        yield warning("wrong encoding", f"the transcript {_short(text)} is UTF-8 that was read as another encoding.")
        return
    digits = [c for c in text if c.isdigit()]
    if digits:
        yield warning("digits", f"the transcript {_short(text)} has digits; write numbers as they are said.")
    marks = [c for c in text if unicodedata.category(c)[0] in "PS" and c not in INSIDE_WORDS]
    if marks:
        yield warning("punctuation", f"the transcript {_short(text)} has {_named(marks)}; take out what nobody says.")
    mixed = next((word for word in text.split() if len(_scripts(word)) > 1), None)
    if mixed is not None:
        yield warning(
            "mixed scripts",
            f"the word {mixed!r} mixes {' and '.join(sorted(_scripts(mixed)))} letters that look alike: "
            f"{_named(_foreign(mixed))}.",
        )


def _decoded_wrongly(text: str) -> bool:
    """Whether the text becomes shorter, and stays a text, when bytes are made of it again and read as UTF-8."""
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
    """The letters of the script that has fewest in a word."""
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


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


FEWEST = 20
"""Utterances from which a corpus has a usual rate."""
SHORT_SECONDS = 0.1
LONG_SECONDS = 30.0
LONG_TIMES = 8.0
"""Of the median, beside being longer than LONG_SECONDS."""
FAST = 35.0
"""Characters in a second that nobody says in any alphabetic script; auctioneers reach some 25."""
SLOW_SECONDS = 10.0
"""For each character: there is more than was written down."""
DEVIATIONS = 6.0
"""Of the logarithm of the rate, in robust standard deviations."""
TIMES = 3.0
"""A rate must be so many times off too, for a corpus may be very even."""


def pace_findings(named: Sequence[tuple[str, Utterance]]) -> list[Finding]:
    """Findings of utterances that are far too long or short, or spoken far too fast or slowly.

    Rates are characters in a second, spaces left out. They are compared at a like length: a short utterance is mostly
    silence around it.
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
            complaint = warning("too short", f"it lasts {utterance.duration:.3f} s; no word is so short.")
        elif seconds[number] > max(LONG_SECONDS, LONG_TIMES * median):
            complaint = warning(
                "too long",
                f"it lasts {utterance.duration:.1f} s, where half of all last less than {median:.1f} s; cut it, or "
                "every batch of its kind is padded to it.",
            )
        elif rate > FAST or letters[number] * SLOW_SECONDS < seconds[number] or outlying:
            complaint = warning(
                "speaking rate",
                f"{letters[number]} characters in {utterance.duration:.1f} s are {rate:.1f} in a second, where "
                f"{float(np.exp(usual[number])):.1f} are usual; is it the transcript of this recording?",
            )
        else:
            continue
        findings.append(complaint.about(split, utterance))
    return findings


def _expected(log_seconds: np.ndarray, log_rates: np.ndarray) -> tuple[np.ndarray, float]:
    """The usual logarithm of the rate at each length, as the median of like lengths, and the spread around it."""
    order = np.argsort(log_seconds, kind="stable")
    expected = np.empty(len(order))
    # Groups of equally many utterances, hundreds at most, so that each median is of its own length.
    groups = np.array_split(order, max(1, min(20, len(order) // 50)))
    for group in groups:
        expected[group] = np.median(log_rates[group])
    return expected, 1.4826 * float(np.median(np.abs(log_rates - expected)))
