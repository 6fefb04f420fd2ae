"""`asr lm train RECIPE lm=lstm|gru`: trains a recurrent language model, as `asr train` does an acoustic one."""

import logging
from contextlib import ExitStack
from functools import partial

import torch

from asr.commands.train import carry_out, check_precision, manifests, restarts
from asr.config import Config
from asr.model.acoustic import count_parameters
from asr.recipe import Recipe
from asr.scoring.provenance import hardware as hardware_name
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import resolve_hardware, set_deterministic
from asr.training.text_building import LmTrainer, as_training, build_lm_trainer, find_lm_folder

log = logging.getLogger(__name__)


def train_language_model(recipe: Recipe, config: Config) -> float:
    """Trains, or goes on with, the language model of a configuration.

    Returns:
        The best perplexity of held-out text.
    """
    config = simplify(as_training(config))
    set_deterministic(config.training.deterministic)
    hardware = resolve_hardware(config.hardware)
    folder = find_lm_folder(recipe, config, hardware.precision)
    ranks = join_ranks(hardware.device, config.cluster.join_minutes)
    with ExitStack() as stack:
        ranks.only_first(lambda: stack.enter_context(folder.trained(config, restarts(config))))
        check_precision(ranks, hardware)
        trainer = build_lm_trainer(recipe, config, hardware, ranks, folder)
        read = manifests(recipe, config) if config.lm.transcripts else []
        carry_out(trainer, recipe, config, partial(_describe, trainer), partial(_outcome, trainer), read)
        if ranks.first:
            print(f"Language model: {folder.path}")
        return trainer.done.best_score


def _describe(trainer: LmTrainer) -> None:
    task, hardware = trainer.task, trainer.hardware
    log.info("Language model %s", trainer.folder.path)
    log.info(
        "%.2f M parameters, %d tokens; %d training sentences, %d units with their ends; %d held-out sentences; %s on "
        "%s, %d ranks of %d threads",
        count_parameters(task.model) / 1e6,
        task.tokenizer.size,
        len(task.train),
        int(task.train.seconds(0).sum()),
        len(task.dev),
        hardware.precision.name,
        hardware_name(),
        trainer.ranks.size,
        torch.get_num_threads(),
    )


def _outcome(trainer: LmTrainer) -> str:
    return f"Best held-out perplexity {trainer.done.best_score:.2f} after epoch {trainer.done.best_epoch}"
