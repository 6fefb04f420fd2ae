"""Builds the trainer of a recurrent language model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asr.config import Config
from asr.data.draws import mix
from asr.errors import DataError
from asr.lm.config import LmUnits
from asr.lm.examples import TextExamples
from asr.lm.folder import texts_identity, tokenizer_texts
from asr.lm.naming import lm_name
from asr.lm.recurrent import RecurrentLanguageModel
from asr.lm.text import held_out_checksum, held_out_sentences, training_sentences
from asr.lm.words import WordTokenizer
from asr.recipe import Recipe
from asr.text.identity import tokenizer_identity
from asr.text.protocol import Tokenizer
from asr.text.tokenizer import build_tokenizer
from asr.training.config import DebugMode, Precision, arithmetic
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware
from asr.training.run_folder import RunFolder
from asr.training.text_task import TextTask
from asr.training.trainer import Trainer

LmTrainer = Trainer[TextTask]

OF_THE_WEIGHTS = ("kind", "units", "min_count", "layers", "hidden", "dropout", "epochs", "learning_rate", "batch_units")
OF_THE_TRAINING = ("clip_norm", "ema_decay", "early_stopping_epochs", "deterministic")


def as_training(config: Config) -> Config:
    """The configuration of a recipe with what `lm` says in place of what its acoustic model is trained with."""
    lm, overfit = config.lm, config.debug.mode is DebugMode.overfit
    return replace(
        config,
        lm=replace(lm, dropout=0.0) if overfit else lm,
        training=replace(config.training, epochs=lm.epochs, init_from=None, with_dev=False),
        optimizer=replace(config.optimizer, learning_rate=lm.learning_rate),
        batching=replace(
            config.batching, global_seconds=float(lm.batch_units), max_device_seconds=float(lm.max_device_units)
        ),
    )


def find_lm_folder(recipe: Recipe, config: Config, precision: Precision) -> RunFolder:
    """`paths.runs/RECIPE/lm/NAME-HASH`, by all that determines the weights.

    Raises:
        ConfigError: There is no such lexicon.
        DataError: A text cannot be read.
    """
    identity = {
        "lm": {key: str(getattr(config.lm, key)) for key in OF_THE_WEIGHTS},
        "training": {key: getattr(config.training, key) for key in OF_THE_TRAINING},
        "optimizer": vars(config.optimizer),
        "schedule": {key: str(value) for key, value in vars(config.schedule).items()},
        "batching": [config.batching.length_jitter, config.batching.order.name],
        "seed": config.seed,
        "debug": config.debug.mode.name,
        "precision": arithmetic(precision, config.hardware.tf32),
        "held_out": held_out_checksum(recipe, config),
        **texts_identity(recipe, config),
    }
    if config.lm.units is LmUnits.tokens:
        identity["tokenizer"] = [*tokenizer_identity(config.tokenizer).values()]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    place = Path(config.paths.runs).absolute() / recipe.name / "lm" / f"{lm_name(config.lm)}-{digest}"
    return RunFolder(place, digest, acoustic=False)


def build_lm_trainer(recipe: Recipe, config: Config, hardware: Hardware, ranks: Ranks, folder: RunFolder) -> LmTrainer:
    """Builds the trainer of a language model, at the state of its newest checkpoint.

    Args:
        config: As of `as_training`.

    Raises:
        DataError: A text cannot be read, or written with the tokens; or there is none.
    """
    tokenizer = _tokenizer(recipe, config)
    train = list(training_sentences(recipe, config))
    dev = list(held_out_sentences(recipe, config))
    if config.debug.mode is DebugMode.overfit:
        train = dev = _first(train, tokenizer, config.lm.batch_units)
    examples = TextExamples(train, tokenizer)
    if not len(examples) or not dev:
        raise DataError(f"There is no {'held-out ' if len(examples) else ''}text: give lm.texts and lm.held_out.")
    torch.manual_seed(mix("weights", config.seed))
    model = RecurrentLanguageModel(config.lm, tokenizer.size)
    trainer = Trainer(config, TextTask(config, examples, dev, tokenizer, model, hardware), hardware, ranks, folder)
    trainer.restore()
    return trainer


def _tokenizer(recipe: Recipe, config: Config) -> Tokenizer:
    if config.lm.units is LmUnits.words:
        return WordTokenizer.build(training_sentences(recipe, config), config.lm.min_count)
    return build_tokenizer(config.tokenizer, tokenizer_texts(recipe, config))


def _first(sentences: Sequence[str], tokenizer: Tokenizer, units: int) -> list[str]:
    """So many sentences from the first as fit one step."""
    chosen: list[str] = []
    for sentence in sentences:
        units -= len(tokenizer.encode(sentence)) + 1
        if chosen and units < 0:
            break
        chosen.append(sentence)
    return chosen
