"""What every decoder does: log-probabilities in, hypotheses out; and the greedy one."""

import logging
import math
import re
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor

from asr.decoding.search import Hypothesis, Rescorer, Search, Weights
from asr.text.protocol import BLANK, Tokenizer

log = logging.getLogger(__name__)


class Decoder(ABC):
    """Makes hypotheses of log-probabilities. A context manager, which ends the processes that a decoder may hold.

    Hypotheses have single spaces between words and none around.
    """

    search: Search | None = None
    """The search that it makes; None where it makes none."""
    rescorer: Rescorer | None = None
    """Rescores what the search finds; None where nothing does."""

    @abstractmethod
    def nbest(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        """The hypotheses of each utterance, their texts all different, the best first; at least one.

        Args:
            log_probs: Log-probabilities of the tokens, (frames, batch, tokens), on any device. Frames past an
                utterance's length are never read.
            lengths: Frames of each utterance, int64 (batch,).
        """

    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[str]:
        """The best hypothesis of each utterance; arguments as of `nbest`."""
        return [hypotheses[0].text for hypotheses in self.nbest(log_probs, lengths)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:  # noqa: B027 - most decoders hold nothing
        """Ends what the decoder holds."""


def log_search(search: Search | None, rescorer: Rescorer | None, tuned: Weights | None) -> None:
    """Logs the weights of a search, of which `asr tune` may have found some; nothing where there is none."""
    if search is None:
        return
    log.info(
        "Beam search: beam %d, language model %s at %g, word score %g%s.",
        search.beam,
        search.lm or "none",
        search.lm_weight,
        search.word_score,
        "" if tuned or search.lm is None else "; `asr tune RUN` finds better weights on dev",
    )
    if rescorer is not None:
        log.info("Rescored by %s at %g, word score %g.", rescorer.trained.folder, rescorer.weight, rescorer.word_score)


def search_settings(search: Search, rescorer: Rescorer | None) -> dict[str, Any]:
    """What search.json tells of a search beside its results."""
    names = ("lm", "beam", "lm_weight", "word_score", "beam_tokens", "beam_threshold", "log_add", "hot", "hot_boost")
    settings = {name: getattr(search, name) for name in (*names, "recurrent", "recurrent_weight")}
    if rescorer is not None:
        settings |= {"recurrent": str(rescorer.trained.folder), "recurrent_weight": rescorer.weight}
        settings["recurrent_word_score"] = rescorer.word_score
    return settings


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
