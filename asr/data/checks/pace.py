"""Lengths and speaking rates that are out of line with the rest of the corpus."""

from collections.abc import Sequence

import numpy as np

from asr.data.checks.findings import Finding, warning
from asr.data.utterance import Utterance

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
