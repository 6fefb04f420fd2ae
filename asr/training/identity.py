"""What identifies a run: the settings and the checksums that determine its weights."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from asr.data.manifest import manifest_checksum
from asr.data.mixture import training_checksum
from asr.features.noise_files import recordings_checksum
from asr.features.perturbation import active_folders
from asr.lm.ngram import texts_identity
from asr.lm.text import held_out_checksum
from asr.model.folder import model_folder, weights_checksum
from asr.scoring.error_unit import recipe_unit, with_unit
from asr.settings.compose import flattened, plain
from asr.settings.hardware import Precision, arithmetic
from asr.settings.lm import LmUnits
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.settings.scoring import ScoringUnit
from asr.settings.tokenizer import TokenizerKind
from asr.text.tokenizer import OF_PHONES, tokenizer_identity

NOT_OF_THE_WEIGHTS = frozenset({
    "name", "paths", "tracker", "hardware", "cluster", "decoder", "lm", "evaluation", "plan", "compare",
    "check", "text", "listen", "pack", "shards",
    "training.restart", "training.max_lost_utterances",
    # These only make the manifests, whose checksums count.
    "data.source", "data.format", "data.columns", "data.held_out", "data.convert",
    # And this is only told.
    "data.license",
    # Models are chosen by raw figures.
    "scoring.normalizer",
})  # fmt: skip
"""Groups and keys that do not determine the weights."""
ARITHMETIC = ("hardware.precision", "hardware.tf32")
"""Of `hardware`, what the training computes in counts, once it is resolved."""
DEV_MANIFEST = "dev_manifest"
"""The checksum of the manifest on which the best model was chosen, among what a run keeps of its identity."""
LATER_AUGMENTATION = ("reverb", "background", "babble", "telephone")
"""Augmentation that is newer than runs that keep their names."""
OF_THE_LM = ("kind", "units", "min_count", "layers", "hidden", "dropout", "epochs", "learning_rate", "batch_units")
OF_ITS_TRAINING = ("clip_norm", "ema_decay", "early_stopping_epochs", "deterministic")


def determines_weights(key: str) -> bool:
    """Whether a group or a full key counts, as `model`, `training.epochs` or `features/rate@features`."""
    parts = re.split(r"[./@]", key)
    return not any(".".join(parts[:length]) in NOT_OF_THE_WEIGHTS for length in (1, 2))


def weight_settings(config: Config) -> dict[str, Any]:
    """The settings that determine the weights, in their groups.

    Settings that came later than runs that keep their names are left out where they do nothing, as errors that are
    counted in words.
    """
    settings = plain(config)
    kept = {
        group: {key: value for key, value in values.items() if determines_weights(f"{group}.{key}")}
        if isinstance(values, dict)
        else values
        for group, values in settings.items()
        if determines_weights(group)
    }
    if config.scoring.unit is not ScoringUnit.character:
        del kept["scoring"]
    if config.tokenizer.kind is not TokenizerKind.phone:
        for key in OF_PHONES:
            del kept["tokenizer"][key]
    for name in LATER_AUGMENTATION:
        if kept["augment"][name]["probability"] <= 0:
            del kept["augment"][name]
    if set(config.augment.tempo_factors) == {1.0}:
        del kept["augment"]["tempo_factors"]
    if config.augment.spec_augment.time_masks_per_second is None:
        del kept["augment"]["spec_augment"]["time_masks_per_second"]
    return kept


def flat_weight_settings(config: Config) -> dict[str, Any]:
    """`weight_settings` by full key, as in {"model.hidden": 320}."""
    return without_groups(flattened(weight_settings(config)))


def without_groups(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by full key without those of whole groups, which `flattened` gives too."""
    return {key: value for key, value in flat.items() if not isinstance(value, dict)}


def differing_keys(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """The keys in which two sets of flat settings differ."""
    return [key for key in {**here, **there} if here.get(key) != there.get(key)]


def run_hash(recipe: Recipe, config: Config, precision: Precision) -> str:
    """The hash of all that determines the weights of an acoustic model: the settings, the resolved precision and the
    checksums of the train and dev manifests, of the model that is fine-tuned and of recordings for augmentation. The
    unit that errors are counted in is among them, since it chooses the best model.

    Raises:
        ConfigError: There is no such lexicon.
        RunError: There is no model to fine-tune where the configuration says.
    """
    identity = weight_settings(with_unit(config, recipe_unit(recipe, config))) | {
        "tokenizer": tokenizer_identity(config.tokenizer),
        "precision": arithmetic(precision, config.hardware.tf32),
        "manifests": {
            "train": training_checksum(recipe, config),
            "dev": manifest_checksum(recipe.manifest(config, "dev")),
        },
    }
    if config.training.init_from is not None:
        identity["training"]["init_from"] = weights_checksum(
            model_folder(config.training.init_from, "training.init_from")
        )
    for name, folders in active_folders(config.augment).items():
        identity["augment"][name]["folders"] = recordings_checksum(folders, f"augment.{name}.folders")
    return _digest(identity)


def lm_hash(recipe: Recipe, config: Config, precision: Precision) -> str:
    """The hash of all that determines the weights of a recurrent language model.

    Args:
        config: As of `asr.training.language_model_task.as_training`.

    Raises:
        ConfigError: There is no such lexicon.
        DataError: A text cannot be read.
    """
    identity = {
        "lm": {key: str(getattr(config.lm, key)) for key in OF_THE_LM},
        "training": {key: getattr(config.training, key) for key in OF_ITS_TRAINING},
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
    return _digest(identity)


def _digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
