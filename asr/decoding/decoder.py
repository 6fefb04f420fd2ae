"""The decoder that a configuration asks for: log-probabilities in, hypotheses out."""

import logging
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from torch import Tensor

from asr.common.errors import ConfigError
from asr.common.processes import cores
from asr.decoding.beam import BeamDecoder
from asr.decoding.greedy import greedy
from asr.decoding.rescoring import Rescorer
from asr.decoding.search import Search, lexicon_of
from asr.decoding.weights import Weights, resolve
from asr.lm.ngram import LanguageModel, training_words
from asr.lm.recurrent_folder import TrainedLanguageModel
from asr.settings.decoder import DecoderConfig, DecoderKind, RecurrentUse
from asr.settings.lm import LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import Tokenizer

log = logging.getLogger(__name__)

Decoder = Callable[[Tensor, Tensor], list[str]]
"""Log-probabilities (frames, batch, tokens) and their lengths, int64 (batch,), to the hypothesis of each utterance.
Hypotheses have single spaces between words and none around."""


def greedy_decoder(tokenizer: Tokenizer) -> Decoder:
    """Takes the best token of each frame."""

    def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
        return [single_spaces(tokenizer.decode(tokens)) for tokens in greedy(log_probs, lengths)]

    return decode


def open_decoder(
    recipe: Recipe,
    config: Config,
    tokenizer: Tokenizer,
    lm: LanguageModel | None,
    recurrent: TrainedLanguageModel | None,
    tuned: Weights | None,
) -> AbstractContextManager[Decoder]:
    """The decoder of a configuration, which may hold processes until the context ends.

    Args:
        lm: For decoder=beam.
        recurrent: That of decoder.recurrent.
        tuned: What stands in for the weights that the configuration leaves open.

    Raises:
        ConfigError: A package of the extra `beam` is not installed, or a setting does not fit.
    """
    decoder = config.decoder
    if decoder.kind is DecoderKind.greedy:
        given = {"recurrent": decoder.recurrent, "hot_words": decoder.hot_words, "weights_from": decoder.weights_from}
        if keys := [f"decoder.{key}" for key, value in given.items() if value]:
            raise ConfigError(f"{' and '.join(keys)} change a beam search: add decoder=beam.")
        return nullcontext(greedy_decoder(tokenizer))
    weights, processes = resolve(decoder, tuned), config.hardware.threads or cores()
    search = beam_search(recipe, config, tokenizer, lm, weights)
    if recurrent is None:
        return BeamDecoder(search, tokenizer, processes)
    if decoder.recurrent_use is RecurrentUse.fuse:
        _check_fusion(recurrent, tokenizer, search)
        fused = replace(search, recurrent=str(recurrent.folder), recurrent_weight=weights.recurrent_weight)
        return BeamDecoder(fused, tokenizer, processes)
    rescorer = Rescorer(recurrent, weights.recurrent_weight, weights.recurrent_word_score)
    several = replace(search, nbest=max(search.nbest, decoder.recurrent_nbest))
    return BeamDecoder(several, tokenizer, processes, rescorer, search.nbest)


def beam_search(
    recipe: Recipe, config: Config, tokenizer: Tokenizer, lm: LanguageModel | None, weights: Weights
) -> Search:
    """What decoder=beam searches for, with given weights.

    With lm.units=words it writes the words that the language model knows, else those of the training transcripts;
    with lm.units=tokens any.

    Raises:
        ConfigError: As of `search_among`.
        DataError: As there.
    """
    words = None
    if config.lm.units is LmUnits.words:
        words = training_words(recipe, config) if lm is None or lm.vocabulary is None else lm.vocabulary
    return search_among(words, config.decoder, tokenizer, lm, weights)


def search_among(
    words: Sequence[str] | None,
    decoder: DecoderConfig,
    tokenizer: Tokenizer,
    lm: LanguageModel | None,
    weights: Weights,
) -> Search:
    """A beam search that writes given words and the hot ones.

    Args:
        words: None writes any sequence of tokens.
        lm: Over these words, or over tokens.

    Raises:
        ConfigError: word_score is set though there are no words, or the tokens write none of these.
        DataError: They cannot write a hot word.
    """
    by_words = words is not None
    if weights.word_score and not by_words:
        raise ConfigError(
            f"decoder.word_score={weights.word_score} has no effect with lm.units=tokens, which knows no words: "
            "leave it out."
        )
    lexicon = None
    if words is not None:
        hot = [word for phrase in decoder.hot_words for word in phrase.split()]
        lexicon = lexicon_of(dict.fromkeys([*words, *hot]), tokenizer)
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
        hot=tuple(_hot_units(phrase, tokenizer, by_words) for phrase in decoder.hot_words),
        hot_boost=decoder.hot_word_boost,
    )


def say_weights(decoder: Decoder, rescorer: Rescorer | None, tuned: Weights | None) -> None:
    """Logs what a beam search weighs; nothing of another decoder.

    Args:
        rescorer: What weighs its hypotheses anew.
        tuned: What `asr tune` found, if anything.
    """
    if not isinstance(decoder, BeamDecoder):
        return
    search = decoder.search
    log.info(
        "Beam search: beam %d, language model %s at %g, word score %g%s.",
        search.beam,
        search.lm or "none",
        search.lm_weight,
        search.word_score,
        "" if tuned or search.lm is None else "; `asr tune` finds better weights on dev",
    )
    if rescorer is not None:
        log.info("Rescored by %s at %g, word score %g.", rescorer.trained.folder, rescorer.weight, rescorer.word_score)


def _hot_units(phrase: str, tokenizer: Tokenizer, by_words: bool) -> tuple[str, ...]:
    """The units of a search that write a phrase.

    Raises:
        DataError: The model cannot write it.
    """
    tokens, symbols = tokenizer.encode(" ".join(phrase.split())), tokenizer.symbols
    return tuple(phrase.split()) if by_words else tuple(symbols[token] for token in tokens)


def _check_fusion(recurrent: TrainedLanguageModel, tokenizer: Tokenizer, search: Search) -> None:
    """Finds a recurrent model that cannot be asked within a search.

    Raises:
        ConfigError: Its tokens are others than those that the search writes.
    """
    if search.lexicon is None and list(recurrent.tokenizer.symbols) != list(tokenizer.symbols):
        raise ConfigError(
            "With lm.units=tokens, decoder.recurrent_use=fuse asks the recurrent model about the tokens of the "
            f"acoustic model, and those of {recurrent.folder} are others: rescore with it, or give lm.units=words."
        )


def single_spaces(text: str) -> str:
    """The text with single spaces between words and none around."""
    return re.sub(" +", " ", text).strip(" ")
