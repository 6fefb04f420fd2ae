"""The decoder that a configuration asks for: log-probabilities in, hypotheses out."""

import re
from collections.abc import Callable

from torch import Tensor

from asr.decoding.config import DecoderConfig, DecoderKind
from asr.decoding.greedy import greedy
from asr.text.protocol import Tokenizer

Decoder = Callable[[Tensor, Tensor], list[str]]
"""Log-probabilities (frames, batch, tokens) and their lengths, int64 (batch,), to the hypothesis of each utterance."""


def build_decoder(config: DecoderConfig, tokenizer: Tokenizer) -> Decoder:
    """Builds the decoder of a configuration. Its hypotheses have single spaces between words and none around."""
    return DECODERS[config.kind](tokenizer)


def _greedy_decoder(tokenizer: Tokenizer) -> Decoder:
    def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
        return [_single_spaces(tokenizer.decode(tokens)) for tokens in greedy(log_probs, lengths)]

    return decode


DECODERS: dict[DecoderKind, Callable[[Tokenizer], Decoder]] = {DecoderKind.greedy: _greedy_decoder}


def _single_spaces(text: str) -> str:
    return re.sub(" +", " ", text).strip(" ")
