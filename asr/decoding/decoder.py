"""The decoder that a configuration asks for: log-probabilities in, hypotheses out."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from asr.config import Config
from asr.data.parallel import cores
from asr.decoding.beam import BeamDecoder, Search
from asr.decoding.config import DecoderKind
from asr.decoding.greedy import greedy
from asr.decoding.lexicon import lexicon_of
from asr.decoding.tuned import Weights, resolve
from asr.errors import ConfigError
from asr.lm.config import LmUnits
from asr.lm.folder import LanguageModel, training_words
from asr.recipe import Recipe
from asr.text.protocol import Tokenizer

Decoder = Callable[[Tensor, Tensor], list[str]]
"""Log-probabilities (frames, batch, tokens) and their lengths, int64 (batch,), to the hypothesis of each utterance.
Hypotheses have single spaces between words and none around."""


def greedy_decoder(tokenizer: Tokenizer) -> Decoder:
    """Takes the best token of each frame."""

    def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
        return [single_spaces(tokenizer.decode(tokens)) for tokens in greedy(log_probs, lengths)]

    return decode


def open_decoder(
    recipe: Recipe, config: Config, tokenizer: Tokenizer, lm: LanguageModel | None, tuned: Weights | None
) -> AbstractContextManager[Decoder]:
    """The decoder of a configuration, which may hold processes until the context ends.

    Args:
        lm: For decoder=beam.
        tuned: What stands in for the weights that the configuration leaves open.

    Raises:
        ConfigError: A package of the extra `beam` is not installed, or a setting does not fit.
    """
    if config.decoder.kind is DecoderKind.greedy:
        return nullcontext(greedy_decoder(tokenizer))
    search = beam_search(recipe, config, tokenizer, lm, resolve(config.decoder, tuned))
    return BeamDecoder(search, tokenizer, config.hardware.threads or cores())


def beam_search(
    recipe: Recipe, config: Config, tokenizer: Tokenizer, lm: LanguageModel | None, weights: Weights
) -> Search:
    """What decoder=beam searches for, with given weights.

    With lm.units=words it writes the words that the language model knows, else those of the training transcripts;
    with lm.units=tokens any.

    Raises:
        ConfigError: word_score is set though there are no words.
    """
    decoder, by_words = config.decoder, config.lm.units is LmUnits.words
    if weights.word_score and not by_words:
        raise ConfigError(
            f"decoder.word_score={weights.word_score} has no effect with lm.units=tokens, which knows no words: "
            "leave it out."
        )
    lexicon = None
    if by_words:
        words = training_words(recipe, config) if lm is None or lm.vocabulary is None else lm.vocabulary
        lexicon = lexicon_of(words, tokenizer)
    return Search(
        symbols=tuple(tokenizer.symbols),
        lexicon=lexicon,
        lm=None if lm is None else str(lm.file),
        beam=weights.beam,
        lm_weight=weights.lm_weight,
        word_score=weights.word_score,
        beam_tokens=decoder.beam_tokens,
        beam_threshold=decoder.beam_threshold,
        log_add=decoder.log_add,
        nbest=decoder.nbest,
    )


def single_spaces(text: str) -> str:
    """The text with single spaces between words and none around."""
    return re.sub(" +", " ", text).strip(" ")
