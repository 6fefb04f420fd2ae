"""`asr train`: trains the model of a recipe, from where an earlier start left off."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch

from asr.checks.corpus import refuse_mistakes
from asr.common.errors import ConfigError
from asr.data.sequences import seconds_of
from asr.data.utterance import Utterance
from asr.features.perturbation import check_source
from asr.model.acoustic import count_parameters
from asr.scoring.provenance import hardware as hardware_name
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.training.building import AcousticTrainer, build_trainer, read_splits
from asr.training.debugging import simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import Hardware, resolve_hardware, set_deterministic
from asr.training.run_folder import RunFolder, find_run_folder
from asr.training.session import carry_out, check_precision, manifests, restarts

log = logging.getLogger(__name__)


def run(recipe: Recipe, config: Config) -> float:
    """Trains, or goes on with, the run of a configuration.

    Returns:
        The best WER on the dev split.
    """
    check_source(config.features, config.augment)
    if config.training.with_dev and config.training.early_stopping_epochs is not None:
        raise ConfigError("training.with_dev=true trains on dev, so training.early_stopping_epochs must be null.")
    config = simplify(config)
    set_deterministic(config.training.deterministic)
    train, dev = read_splits(recipe, config)
    hardware = resolve_hardware(config.hardware)
    folder = find_run_folder(recipe, config, hardware.precision)
    ranks = join_ranks(hardware.device, config.cluster.join_minutes)
    with ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(folder.trained(config, restarts(config)))
            # A training under way goes on without files that vanished meanwhile; a new one begins with all of them.
            unreadable = config.training.max_lost_utterances if folder.is_under_way else 0
            refuse_mistakes(recipe, config, unreadable=unreadable)

        ranks.on_rank_0(begin)
        check_precision(ranks, hardware)
        trainer = build_trainer(recipe, config, train, dev, hardware, ranks, folder)
        describe = partial(_describe, trainer, train, dev, hardware, folder)
        outcome = partial(_outcome, trainer, config)
        carry_out(trainer, recipe, config, describe, outcome, manifests(recipe, config))
        return trainer.state.best_score


def _outcome(trainer: AcousticTrainer, config: Config) -> str:
    best = trainer.state
    kept = "The last model, trained on dev too:" if config.training.with_dev else "Best"
    return f"{kept} dev WER {100 * best.best_score:.2f} % after epoch {best.best_epoch}"


def _describe(
    trainer: AcousticTrainer,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    hardware: Hardware,
    folder: RunFolder,
) -> None:
    minutes = float(seconds_of(train).sum()) / 60
    log.info("Run %s", folder.path)
    log.info(
        "%.2f M parameters; %d training utterances, %.1f min; %d dev utterances; %s on %s, %d ranks of %d threads",
        count_parameters(trainer.model) / 1e6,
        len(train),
        minutes,
        len(dev),
        hardware.precision.name,
        hardware_name(),
        trainer.ranks.size,
        torch.get_num_threads(),
    )
