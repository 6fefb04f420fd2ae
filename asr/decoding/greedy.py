"""Greedy decoding of CTC: the best path (Graves et al., "Connectionist temporal classification", 2006)."""

import torch
from torch import Tensor

from asr.text.protocol import BLANK


def greedy(log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
    """Takes the best token of each frame, merges repeats and drops blanks.

    Frames past an utterance's length are never read.

    Args:
        log_probs: Log-probabilities of the tokens, (frames, batch, tokens), on any device.
        lengths: Frames of each utterance, int64 (batch,).

    Returns:
        The tokens of each utterance.
    """
    best = log_probs.argmax(dim=-1)
    written = best != BLANK
    written[1:] &= best[1:] != best[:-1]
    written &= torch.arange(len(best), device=best.device).unsqueeze(1) < lengths.to(best.device)
    paths = best.where(written, BLANK).T.cpu()
    return [path[path != BLANK].tolist() for path in paths]
