"""Fine-tuning: a training that starts with the weights of a trained model."""

import filecmp
import logging
import tempfile
from pathlib import Path
from typing import Any

from asr.common.errors import ConfigError
from asr.model.acoustic import AcousticModel, cells_of_layers
from asr.model.folder import load_model, model_folder
from asr.settings.compose import flattened, plain
from asr.settings.root import Config
from asr.text.protocol import Tokenizer

log = logging.getLogger(__name__)

HEADS = ("head.", "intermediate_head.")
FREE = (
    "features.source",
    "model.cells",
    "model.cell_order",
    "model.forget_bias",
    "model.orthogonal",
    "model.blank_bias",
    "model.intermediate_layer",
    "model.dropout",
    "model.variational_dropout",
)
"""What may differ: how features are read, how weights are initialized, and what only training does."""


def begin_with(model: AcousticModel, config: Config, tokenizer: Tokenizer) -> None:
    """Gives a new model the weights and the feature statistics of the model that `training.init_from` names.

    CTC heads keep their random weights where the tokens differ; the log says so.

    Raises:
        ConfigError: Its architecture or its features differ; names the keys.
        RunError: There is no such model, or it is damaged.
    """
    folder = model_folder(str(config.training.init_from), "training.init_from")
    trained, trained_config, _ = load_model(folder)
    here, there = _architecture(config), _architecture(trained_config)
    if different := [key for key in here if here[key] != there[key]]:
        values = ", ".join(f"{key}={here[key]} (there {there[key]})" for key in different)
        raise ConfigError(f"The model of training.init_from, {folder}, differs: {values}; set these to its values.")
    same_tokens = _same_tokens(tokenizer, folder)
    wanted, weights = model.state_dict(), trained.state_dict()
    taken = {name: weights[name] for name in wanted if name in weights and (same_tokens or not name.startswith(HEADS))}
    model.load_state_dict(wanted | taken)
    fresh = [head for head in HEADS if any(name.startswith(head) for name in wanted.keys() - taken.keys())]
    heads = " and ".join(head.rstrip(".").replace("_", " ") for head in fresh)
    why = "its tokens differ" if not same_tokens else "it has none"
    log.info("Weights are initialized from %s%s.", folder, f", but the {heads} at random, since {why}" if fresh else "")


def _architecture(config: Config) -> dict[str, Any]:
    values = flattened(plain(config))
    kept = {
        key: value
        for key, value in values.items()
        if key == "data.sampling_rate" or (key.startswith(("model.", "features.")) and key not in FREE)
    }
    return kept | {"model.cells": [cell.name for cell in cells_of_layers(config.model)]}


def _same_tokens(tokenizer: Tokenizer, folder: Path) -> bool:
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save(Path(place))
        names = [path.name for path in Path(place).iterdir()]
        same, _, _ = filecmp.cmpfiles(place, folder, names, shallow=False)
        return len(same) == len(names)
