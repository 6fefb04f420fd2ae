"""The decoder that a configuration asks for, and its name."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from asr.common.errors import ConfigError, asr_command
from asr.common.processes import cores
from asr.data.manifest import manifest_checksum
from asr.data.mixture import training_checksum
from asr.decoding.beam import BeamDecoder
from asr.decoding.decoder import Decoder, GreedyDecoder
from asr.decoding.search import Rescorer, Search, Weights, lexicon_of, read_tuned, resolve, tuning_key
from asr.lm.ngram import LanguageModel, language_model, lm_name, training_words
from asr.lm.trained import TrainedLanguageModel, load_language_model
from asr.model.folder import model_folder, weights_checksum
from asr.scoring.normalizer import build_normalizer
from asr.settings.decoder import DecoderConfig, DecoderKind, RecurrentUse
from asr.settings.evaluation import Combine
from asr.settings.lm import LmConfig, LmKind, LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.text.protocol import Tokenizer

PLACES = ("recurrent", "weights_from")
"""Keys of a decoder that name folders, whose content counts in their place."""


@dataclass(frozen=True)
class DecodingSetup:
    """All that decoders of a configuration are built from, except the tokenizer of the acoustic model."""

    recipe: Recipe
    config: Config
    lm: LanguageModel | None = None
    """For decoder=beam."""
    recurrent: TrainedLanguageModel | None = None
    """That of decoder.recurrent."""
    tuned: Weights | None = None
    """Replace the weights that the configuration leaves open."""

    @classmethod
    def of_run(cls, recipe: Recipe, config: Config, run: Path, device: str) -> Self:
        """Opens the language models of a configuration and the weights that `asr tune` found for them.

        Args:
            run: Where the tuned weights are, unless decoder.weights_from names another run.
            device: Where the recurrent language model is computed, as torch names it.

        Raises:
            ConfigError: There is no such language model, or decoder.weights_from was not tuned with it.
            DataError: A text of the language model cannot be used.
        """
        decoder = config.decoder
        lm = language_model(recipe, config) if decoder.kind is DecoderKind.beam else None
        recurrent = None if decoder.recurrent is None else load_language_model(Path(decoder.recurrent), device)
        key, other = tuning_key(lm, recurrent), decoder.weights_from
        tuned = None if key is None else read_tuned(run if other is None else Path(other), key)
        if other is not None and tuned is None:
            raise ConfigError(
                f"decoder.weights_from={other} was not tuned with {key or 'lm=none'}: {asr_command('tune', other)} "
                "does it."
            )
        return cls(recipe, config, lm, recurrent, tuned)

    @property
    def weights(self) -> Weights:
        """The weights of a beam search."""
        return resolve(self.config.decoder, self.tuned)

    @property
    def processes(self) -> int:
        """How many processes search."""
        return self.config.hardware.threads or cores()

    @property
    def rescorer(self) -> Rescorer | None:
        """The recurrent language model as a rescorer; None where there is none, or where it is fused."""
        if self.recurrent is None or self.config.decoder.recurrent_use is RecurrentUse.fuse:
            return None
        return Rescorer(self.recurrent, self.weights.recurrent_weight, self.weights.recurrent_word_score)

    def identity(self, split: str, models: Sequence[Path]) -> str:
        """A hash of all that determines the hypotheses of a split and their scores.

        Args:
            models: The model folders.
        """
        config = self.config
        identity: dict[str, Any] = {
            "split": manifest_checksum(self.recipe.manifest(config, split)),
            "models": [weights_checksum(model) for model in models],
            "decoder": config.decoder.kind.name,
            "combine": config.evaluation.combine.name,
            "errors counted in": config.scoring.unit.name,
        }
        if (normalizer := build_normalizer(config.scoring.normalizer)) is not None:
            identity["normalizer"] = normalizer.name
        if config.evaluation.alignment_model is not None:
            aligner = model_folder(config.evaluation.alignment_model, "evaluation.alignment_model")
            identity["aligner"] = weights_checksum(aligner)
        if config.decoder.kind is DecoderKind.beam:
            identity |= {
                "search": {key: str(value) for key, value in vars(config.decoder).items() if key not in PLACES},
                "weights": vars(self.weights),
                "units": config.lm.units.name,
                "words": training_checksum(self.recipe, config),
                "language models": tuning_key(self.lm, self.recurrent),
            }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def open(self, tokenizer: Tokenizer) -> Decoder:
        """The decoder, which may hold processes until its context ends.

        Raises:
            ConfigError: A package of the extra `beam` is not installed, or a setting does not fit.
        """
        decoder = self.config.decoder
        if decoder.kind is DecoderKind.greedy:
            of_beams = ("recurrent", "hot_words", "weights_from")
            if keys := [f"decoder.{key}" for key in of_beams if getattr(decoder, key)]:
                raise ConfigError(f"{' and '.join(keys)} change a beam search: add decoder=beam.")
            return GreedyDecoder(tokenizer)
        search = self.search(tokenizer)
        if self.recurrent is None:
            return BeamDecoder(search, tokenizer, self.processes)
        if self.rescorer is None:
            if search.lexicon is None and list(self.recurrent.tokenizer.symbols) != list(tokenizer.symbols):
                raise ConfigError(
                    "With lm.units=tokens, decoder.recurrent_use=fuse needs a recurrent model over the tokens of the "
                    f"acoustic model, and those of {self.recurrent.folder} are others: rescore with it, or give "
                    "lm.units=words."
                )
            weight = self.weights.recurrent_weight
            fused = replace(search, recurrent=str(self.recurrent.folder), recurrent_weight=weight)
            return BeamDecoder(fused, tokenizer, self.processes)
        several = replace(search, nbest=max(search.nbest, decoder.recurrent_nbest))
        return BeamDecoder(several, tokenizer, self.processes, self.rescorer, search.nbest)

    def search(self, tokenizer: Tokenizer) -> Search:
        """The search of decoder=beam, without the recurrent language model.

        With lm.units=words hypotheses have the words of the language model, else those of the training transcripts;
        with lm.units=tokens they are any sequence of tokens.

        Raises:
            ConfigError: As of `search_among`.
            DataError: As there.
        """
        words, lm = None, self.lm
        if self.config.lm.units is LmUnits.words:
            known = None if lm is None else lm.vocabulary
            words = training_words(self.recipe, self.config) if known is None else known
        return search_among(words, self.config.decoder, tokenizer, lm, self.weights)


def search_among(
    words: Sequence[str] | None,
    decoder: DecoderConfig,
    tokenizer: Tokenizer,
    lm: LanguageModel | None,
    weights: Weights,
) -> Search:
    """A beam search over given words and the hot words.

    Args:
        words: None allows any sequence of tokens.
        lm: Over these words, or over tokens.

    Raises:
        ConfigError: word_score is set though there are no words, or the tokenizer can write none of these.
        DataError: It cannot write a hot word.
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


def _hot_units(phrase: str, tokenizer: Tokenizer, by_words: bool) -> tuple[str, ...]:
    """The units of a search that a phrase consists of; DataError where the tokenizer cannot write it."""
    tokens, symbols = tokenizer.encode(" ".join(phrase.split())), tokenizer.symbols
    return tuple(phrase.split()) if by_words else tuple(symbols[token] for token in tokens)


GREEDY = DecoderKind.greedy.name
"""The decoder of every run, by which runs are compared unless another one is asked for."""


def decoder_name(config: Config) -> str:
    """Names the decoder of a configuration: greedy, beam-words, beam-ngram3-words; with a recurrent language model
    beam-ngram3-words+lstm-tokens-0123abcd.

    A hash follows an n-gram model that is pruned or estimated from other text than the training transcripts, as in
    beam-ngram3-words-0123abcd. A hash also identifies the models of an ensemble, as in greedy-combined2-0123abcd, or
    in beam-ngram3-words-pooled2-0123abcd where their hypotheses are combined.
    """
    name = config.decoder.kind.name
    if config.decoder.kind is DecoderKind.beam:
        name += f"-{config.lm.units.name if config.lm.kind is LmKind.none else _ngram_name(config.lm)}"
    if config.decoder.recurrent is not None:
        name += f"+{_run_name(config.decoder.recurrent)}"
        name += "-fused" if config.decoder.recurrent_use is RecurrentUse.fuse else ""
    name += "-hot" if config.decoder.hot_words else ""
    if models := config.evaluation.models:
        kind = "combined" if config.evaluation.combine is Combine.frames else "pooled"
        # The mean does not depend on the order.
        name += f"-{kind}{1 + len(models)}-{_hash(sorted(map(_run_name, models)))}"
    return name


def _ngram_name(lm: LmConfig) -> str:
    plain = lm.transcripts and not lm.texts and not any(lm.prune)
    if plain or lm.path is not None:
        return lm_name(lm)
    return f"{lm_name(lm)}-{_hash([lm.transcripts, lm.texts, lm.prune])}"


def _run_name(model: str) -> str:
    """The name of the run's folder, for a run or its model."""
    path = Path(model).absolute()
    return path.parent.name if path.name == "model" else path.name


def _hash(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
