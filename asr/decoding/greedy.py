"""Greedy decoding of CTC: the best path (Graves et al., "Connectionist temporal classification", 2006)."""

import math
import re

import torch
from torch import Tensor

from asr.decoding.decoder import Decoder
from asr.decoding.search import Hypothesis
from asr.text.protocol import BLANK, Tokenizer


class GreedyDecoder(Decoder):
    """Takes the best token of each frame. It finds one hypothesis, whose score is not a number."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def nbest(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        """See `Decoder.nbest`."""
        texts = (single_spaces(self.tokenizer.decode(tokens)) for tokens in greedy(log_probs, lengths))
        return [[Hypothesis(text, math.nan)] for text in texts]


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
    is_token = best != BLANK
    is_token[1:] &= best[1:] != best[:-1]
    is_token &= torch.arange(len(best), device=best.device).unsqueeze(1) < lengths.to(best.device)
    paths = best.where(is_token, BLANK).T.cpu()
    return [path[path != BLANK].tolist() for path in paths]


def single_spaces(text: str) -> str:
    """The text with single spaces between words and none around."""
    return re.sub(" +", " ", text).strip(" ")
