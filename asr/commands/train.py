"""`asr train`: trains the model of a recipe, from where an earlier start left off."""

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from asr.commands.check import refuse_mistakes
from asr.composition import plain
from asr.config import Config
from asr.data.utterance import Utterance
from asr.errors import ConfigError
from asr.features.extraction import check_source
from asr.model.acoustic import count_parameters
from asr.recipe import Recipe
from asr.scoring.provenance import hardware as hardware_name
from asr.tracking.tracker import Tracker
from asr.training.building import build_trainer, read_splits
from asr.training.debugging import profiled, simplify
from asr.training.distributed import join_ranks
from asr.training.hardware import Hardware, resolve_hardware
from asr.training.interruption import watch_signals
from asr.training.run_folder import RunFolder, find_run_folder
from asr.training.trainer import Trainer

log = logging.getLogger(__name__)

REPORTED = ".reported"
"""Lies in the folder of a run whose tracker was closed after the last step: one killed between has not told W&B all."""


def run(recipe: Recipe, config: Config) -> float:
    """Trains, or goes on with, the run of a configuration.

    Returns:
        The best WER on the dev split.
    """
    check_source(config.features, config.augment)
    if config.training.with_dev and config.training.early_stopping_epochs is not None:
        raise ConfigError("training.with_dev=true trains on dev, so training.early_stopping_epochs must be null.")
    config = simplify(config)
    if config.training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    train, dev = read_splits(recipe, config)
    hardware = resolve_hardware(config.hardware)
    folder = find_run_folder(recipe, config, hardware.precision)
    ranks = join_ranks(hardware.device, config.cluster.join_minutes)
    with ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(folder.held(config, config.training.restart))
            # A training under way goes on without files that vanished meanwhile; a new one begins with all of them.
            under_way = any(folder.checkpoints.glob("*.pt"))
            refuse_mistakes(recipe, config, config.training.max_lost_utterances if under_way else 0)

        ranks.only_first(begin)
        trainer = build_trainer(recipe, config, train, dev, hardware, ranks, folder)
        reported = folder.path / REPORTED
        if trainer.done.finished and ranks.from_first(reported.exists()):
            log.info("The run %s is finished.", folder.path)
        else:
            _describe(trainer, train, dev, hardware, folder)
            step = trainer.done.step
            tracker = open_tracker(recipe, config, folder, step) if ranks.first else Tracker.silent()
            if sentence := tracker.follow():
                log.info("%s", sentence)
            with watch_signals() as interruption, tracker, profiled(config, folder.path, ranks):
                if not trainer.done.finished:
                    trainer.fit(tracker, interruption)
                tracker.model(folder.model)
                log.info("%s", tracker.where())
            if ranks.first:
                reported.touch()
        best = trainer.done
        kept = "The last model, trained on dev too:" if config.training.with_dev else "Best"
        log.info("%s dev WER %.2f %% after epoch %d: %s", kept, 100 * best.best_wer, best.best_epoch, folder.model)
        return best.best_wer


def open_tracker(recipe: Recipe, config: Config, folder: RunFolder, step: int) -> Tracker:
    """The tracker of a run that goes on from a step."""
    return Tracker(
        folder.path,
        config.tracker,
        name=folder.path.name,
        recipe=recipe.name,
        settings=plain(config),
        job_type="train",
        step=step,
    )


def _describe(
    trainer: Trainer, train: Sequence[Utterance], dev: Sequence[Utterance], hardware: Hardware, folder: RunFolder
) -> None:
    done, minutes = trainer.done, sum(utterance.duration for utterance in train) / 60
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
    if done.step:
        log.info("Goes on from step %d, epoch %d, after %.0f s of training.", done.step, done.epoch, done.seconds)
