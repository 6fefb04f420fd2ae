"""Emissions, searches and language models of a few letters."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from asr.decoding.beam import BeamDecoder
from asr.decoding.search import Lexicon, Search
from asr.lm.kneser_ney import estimate
from asr.lm.ngram import write_arpa
from asr.lm.text import number_units, split_into
from asr.settings.lm import LmUnits
from asr.text.char import CharTokenizer
from asr.text.protocol import Tokenizer

CHARACTERS = CharTokenizer(" ABC")


def search_of(tokenizer: Tokenizer, lexicon: Lexicon | None = None, lm: Path | None = None) -> Search:
    return Search(
        symbols=tuple(tokenizer.symbols),
        lexicon=lexicon,
        lm=None if lm is None else str(lm),
        beam=50,
        lm_weight=0.0 if lm is None else 1.0,
        word_score=0.0,
        beam_tokens=None,
        beam_threshold=50.0,
        log_add=True,
        nbest=1,
    )


def decode(search: Search, tokenizer: Tokenizer, emissions: Sequence[Tensor], processes: int = 1) -> list[str]:
    with BeamDecoder(search, tokenizer, processes) as decoder:
        return decoder(*padded(emissions))


def padded(emissions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(frames, batch, tokens) and lengths; what stands past an end is no number."""
    lengths = torch.tensor([len(emission) for emission in emissions])
    return torch.nn.utils.rnn.pad_sequence(list(emissions), padding_value=math.nan), lengths


def emission_of(tokenizer: Tokenizer, *frames: dict[str, float]) -> Tensor:
    """Log-probabilities (frames, tokens) of frames whose symbols have these probabilities; "" is the blank."""
    emission = torch.full((len(frames), tokenizer.size), 1e-6)
    symbols = ["", *tokenizer.symbols[1:]]
    for place, frame in enumerate(frames):
        for symbol, probability in frame.items():
            emission[place, symbols.index(symbol)] = probability
    return emission.log()


def language_model(folder: Path, sentences: Sequence[str], units: LmUnits, tokenizer: Tokenizer) -> Path:
    text = number_units(sentences, split_into(units, tokenizer))
    write_arpa(estimate(text, 3, (0,), (0.5, 1.0, 1.5)), folder / "lm.arpa")
    return folder / "lm.arpa"
