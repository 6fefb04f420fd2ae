"""Errors for reading: aligned utterances, the worst first, and the most frequent confusions."""

from collections import Counter
from collections.abc import Sequence

import jiwer

from asr.scoring.error_rates import UtteranceScore, total

LINE_WIDTH = 120
CONFUSIONS = 30
NO_WORD = "***"


def worst(scores: Sequence[UtteranceScore], count: int) -> list[UtteranceScore]:
    """The utterances with the highest WER, those with more errors first among equals."""
    return sorted(scores, key=lambda score: (-score.wer, -score.errors, score.id))[:count]


def aligned_errors(scores: Sequence[UtteranceScore]) -> str:
    """Every utterance with errors, aligned with its reference; then the totals and the confusions.

    Below a pair of lines S, D and I mark a substituted, deleted and inserted word.
    """
    wrong = [score for score in worst(scores, len(scores)) if score.errors]
    parts = [_aligned(score) for score in wrong]
    parts.append(_totals(scores, len(wrong)))
    if wrong:
        parts.append(_confusions(wrong))
    return "\n".join(parts)


def confusions(scores: Sequence[UtteranceScore]) -> Counter[tuple[str, str]]:
    """How often each word of the references became another one; *** is no word (a deletion or an insertion)."""
    counts: Counter[tuple[str, str]] = Counter()
    for score in scores:
        output = jiwer.process_words(score.reference, score.hypothesis)
        reference, hypothesis = output.references[0], output.hypotheses[0]
        for chunk in output.alignments[0]:
            expected = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            found = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type == "substitute":
                counts.update(zip(expected, found, strict=True))
            elif chunk.type == "delete":
                counts.update((word, NO_WORD) for word in expected)
            elif chunk.type == "insert":
                counts.update((NO_WORD, word) for word in found)
    return counts


def _aligned(score: UtteranceScore) -> str:
    output = jiwer.process_words(score.reference, score.hypothesis)
    drawn = jiwer.visualize_alignment(output, show_measures=False, line_width=LINE_WIDTH)
    _, _, alignment = drawn.partition("\n\n")  # jiwer's heading only numbers the utterances
    speaker = score.speaker or "unknown"
    return f"{score.id}  speaker {speaker}  WER {score.wer:.2%}\n{alignment}"


def _totals(scores: Sequence[UtteranceScore], wrong: int) -> str:
    score = total(scores)
    return (
        f"{score.utterances} utterances, {wrong} with errors; {score.words} words\n"
        f"WER {score.wer:.2%}  CER {score.cer:.2%}\n"
        f"substitutions {score.substitutions}  deletions {score.deletions}  insertions {score.insertions}\n"
    )


def _confusions(scores: Sequence[UtteranceScore]) -> str:
    ranked = sorted(confusions(scores).items(), key=lambda item: (-item[1], item[0]))[:CONFUSIONS]
    width = max(len(expected) for (expected, _), _ in ranked)
    lines = [f"{count:5}  {expected:<{width}} -> {found}" for (expected, found), count in ranked]
    return "\n".join([f"Most frequent confusions (reference -> hypothesis, {NO_WORD} is no word)", *lines, ""])
