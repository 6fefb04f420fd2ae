"""A prefix beam search in plain Python, the reference for the fast one.

Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014,
without a language model.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

BLANK = 0
NOTHING = -math.inf

Prefix = tuple[int, ...]


def prefix_beam_search(log_probs: Sequence[Sequence[float]], beam: int) -> dict[Prefix, float]:
    """The most probable sequences of tokens, each with the sum over the ways of writing it that the beam kept.

    Args:
        log_probs: Natural logarithms, (frames, tokens).
        beam: Sequences that are kept in each frame.
    """
    ended: dict[Prefix, tuple[float, float]] = {(): (0.0, NOTHING)}
    for frame in log_probs:
        following: dict[Prefix, list[float]] = defaultdict(lambda: [NOTHING, NOTHING])
        for prefix, (blank, token_last) in ended.items():
            for token, log_prob in enumerate(frame):
                if token == BLANK:
                    add(following[prefix], 0, log_sum(blank, token_last) + log_prob)
                elif prefix and prefix[-1] == token:
                    add(following[prefix], 1, token_last + log_prob)
                    add(following[(*prefix, token)], 1, blank + log_prob)
                else:
                    add(following[(*prefix, token)], 1, log_sum(blank, token_last) + log_prob)
        best = sorted(following.items(), key=lambda item: -log_sum(*item[1]))[:beam]
        ended = {prefix: (blank, token_last) for prefix, (blank, token_last) in best}
    return {prefix: log_sum(blank, token_last) for prefix, (blank, token_last) in ended.items()}


def add(sums: list[float], place: int, log_prob: float) -> None:
    sums[place] = log_sum(sums[place], log_prob)


def log_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high if low == NOTHING else high + math.log1p(math.exp(low - high))
