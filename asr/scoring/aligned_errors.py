"""errors.txt: the utterances with errors, aligned with their references, and what was confused with what."""

from collections import Counter
from collections.abc import Sequence

import jiwer

from asr.scoring.error_rates import UtteranceScore, process, total, unit_of, wrong_pairs

LINE_WIDTH = 120
CONFUSIONS = 30
NO_WORD = "***"


def worst(scores: Sequence[UtteranceScore], count: int) -> list[UtteranceScore]:
    """The utterances with the highest error rate, those with more errors first among equals."""
    return sorted(scores, key=lambda score: (-score.rate, -score.errors, score.id))[:count]


def aligned_errors(scores: Sequence[UtteranceScore]) -> str:
    """Every utterance with errors, aligned with its reference; then the totals and the confusions.

    Below a pair of lines S, D and I mark a substituted, deleted and inserted word, or character.
    """
    wrong = [score for score in worst(scores, len(scores)) if score.errors]
    parts = [
        f"{score.id}  speaker {score.speaker or 'unknown'}  {score.unit.label} {score.rate:.2%}\n{aligned(score)}"
        for score in wrong
    ]
    score = total(scores)
    unit = score.unit
    parts.append(
        f"{score.utterances} utterances, {len(wrong)} with errors; {score.size} {unit}s\n"
        f"{unit.label} {score.rate:.2%}  {unit.other.label} {score.rate_in(unit.other):.2%}\n"
        f"substitutions {score.substitutions}  deletions {score.deletions}  insertions {score.insertions}\n"
    )
    return "\n".join([*parts, *([_confusions(wrong)] if wrong else [])])


def labelled_errors(scores: Sequence[UtteranceScore]) -> str:
    """The speech of every recording with wrong frames and what was found, those with the most errors first."""
    wrong = [score for score in worst(scores, len(scores)) if score.errors]
    return "\n".join(
        f"{score.id}  frame error {score.rate:.2%}\nspeech: {score.reference}\nfound:  {score.hypothesis}\n"
        for score in wrong
    )


def confusions(scores: Sequence[UtteranceScore]) -> Counter[tuple[str, str]]:
    """How often each word, or character, of the references became another one; *** is none (a deletion or an
    insertion)."""
    outputs = (process(score.reference, score.hypothesis, score.unit) for score in scores)
    return Counter(pair for output in outputs for pair in wrong_pairs(output, 0, NO_WORD))


def aligned(score: UtteranceScore) -> str:
    """The lines of a reference, its hypothesis and their differences, as jiwer draws them."""
    output = process(score.reference, score.hypothesis, score.unit)
    drawn = jiwer.visualize_alignment(output, show_measures=False, line_width=LINE_WIDTH)
    return drawn.partition("\n\n")[2]  # jiwer's heading only numbers the utterances


def _confusions(scores: Sequence[UtteranceScore]) -> str:
    ranked = sorted(confusions(scores).items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    width = max(len(expected) for (expected, _), _ in ranked)
    lines = [f"{count:5}  {expected:<{width}} -> {found}" for (expected, found), count in ranked]
    return "\n".join(
        [f"Most frequent confusions (reference -> hypothesis, {NO_WORD} is no {unit_of(scores)})", *lines, ""]
    )
