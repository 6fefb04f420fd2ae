"""The best path of CTC through hours of frames: exact, in little memory.

Viterbi's backward pass reads every choice of the forward pass, and for an hour of speech those are 10^10. So the
forward pass keeps its scores every BLOCK frames only; then, from the last block to the first, each is gone through
again with its choices kept, for the few states that the path can have come from (checkpoints, as in Grice, Hughey &
Speck, "Reduced space sequence alignment", 1997).
"""

import numpy as np
import numpy.typing as npt

from asr.text.protocol import BLANK

BLOCK = 500
"""Frames. Scores are kept in frames / BLOCK * tokens * 16 bytes, choices in 2 * BLOCK * BLOCK bytes."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def best_path(log_probs: npt.NDArray[np.float32], tokens: Integers) -> Integers:
    """The token of the best path in each frame, int64 (frames,), as `torchaudio.functional.forced_align` finds it.

    State 2i is the blank before token i, state 2i + 1 token i itself.

    Args:
        log_probs: (frames, tokens of the model).
        tokens: What is written, int64 (tokens,), at least one; it must fit into the frames.
    """
    starts = range(0, len(log_probs), BLOCK)
    scores = np.full(2 * len(tokens) + 1, -np.inf)
    scores[0] = 0.0  # before the first frame nothing is written
    kept = []
    for start in starts:
        kept.append(scores)
        scores = _forward(log_probs[start : start + BLOCK], tokens, scores)
    state = 2 * len(tokens) - int(scores[-2] > scores[-1])
    states = np.empty(len(log_probs), dtype=np.int64)
    for start, before in zip(reversed(starts), reversed(kept), strict=True):
        states[start : start + BLOCK], state = _backward(log_probs[start : start + BLOCK], tokens, before, state)
    return np.where(states % 2 == 1, tokens[np.minimum(states // 2, len(tokens) - 1)], BLANK)


def _forward(log_probs: npt.NDArray[np.float32], tokens: Integers, scores: Floats) -> Floats:
    """The scores of all states after some frames."""
    # A blank may be left out between tokens that differ.
    skipping = np.where(tokens[1:] != tokens[:-1], 0.0, -np.inf)
    blanks, labels, entered = scores[0::2].copy(), scores[1::2].copy(), np.empty(len(tokens))
    for frame in log_probs.astype(np.float64):
        entered[:] = blanks[:-1]
        np.maximum(entered[1:], labels[:-1] + skipping, out=entered[1:])
        np.maximum(blanks[1:], labels, out=blanks[1:])
        blanks += frame[BLANK]
        np.maximum(labels, entered, out=labels)
        labels += frame[tokens]
    after = np.empty_like(scores)
    after[0::2], after[1::2] = blanks, labels
    return after


def _backward(log_probs: npt.NDArray[np.float32], tokens: Integers, scores: Floats, state: int) -> tuple[Integers, int]:
    """The states of the best path through some frames, (frames,), and the one before them.

    Args:
        scores: Of all states before the frames.
        state: After them.
    """
    low = max(0, state - 2 * len(log_probs))
    states = np.arange(low, state + 1)
    token = np.where(states % 2 == 1, tokens[np.minimum(states // 2, len(tokens) - 1)], BLANK)
    skipping = np.where((states[2:] % 2 == 1) & (token[2:] != token[:-2]), 0.0, -np.inf)
    ways = np.full((3, len(states)), -np.inf)
    ways[0] = scores[low : state + 1]
    steps = np.empty((len(log_probs), len(states)), dtype=np.int8)
    for number, frame in enumerate(log_probs.astype(np.float64)):
        ways[1, 1:] = ways[0, :-1]
        ways[2, 2:] = ways[0, :-2] + skipping
        steps[number] = ways.argmax(axis=0)
        ways[0] = ways.max(axis=0) + frame[token]
    path = np.empty(len(log_probs), dtype=np.int64)
    for number in range(len(log_probs) - 1, -1, -1):
        path[number] = state
        state -= int(steps[number, state - low])
    return path, state
