"""One training of any kind, from the lock on its run folder to the report of how it ended."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from asr.common.errors import ConfigError, Interrupted, RunError
from asr.data.mixture import training_manifests
from asr.data.splits import SPLITS
from asr.scoring.provenance import keep_provenance
from asr.settings.compose import plain
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.tracker import Tracker
from asr.tracking.wandb_run import Job
from asr.training.debugging import profiled
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware
from asr.training.interruption import watch_signals
from asr.training.launch import rejoins, started_again
from asr.training.run_folder import RunFolder
from asr.training.trainer import AnyTask, Trainer

log = logging.getLogger(__name__)

REPORTED = ".reported"
"""Lies in the folder of a run whose tracker was closed after the last step: one killed between has not told W&B all."""


def carry_out(
    trainer: Trainer[AnyTask],
    recipe: Recipe,
    config: Config,
    describe: Callable[[], None],
    outcome: Callable[[], str],
    read: Sequence[Path],
) -> None:
    """Trains to the end what is not yet trained, and reports it, the folder of the run being held.

    Args:
        describe: Logs what is trained.
        outcome: What came of it, in words.
        read: The manifests that are read.

    Raises:
        Interrupted: A signal asked the training to end.
        RunError: It cannot go on.
    """
    folder, ranks = trainer.folder, trainer.ranks
    reported = folder.path / REPORTED
    if trainer.state.finished and ranks.broadcast(reported.exists()):
        if not ranks.broadcast(folder.model.is_dir()):
            raise RunError(f"{folder.model} of the finished run is gone: begin anew with training.restart=true.")
        log.info("The run %s is finished.", folder.path)
    else:
        describe()
        state, step = trainer.state, trainer.state.step
        if step:
            log.info("Goes on from step %d, epoch %d, after %.0f s of training.", step, state.epoch, state.seconds)
        tracker = Tracker.silent()

        def open_it() -> None:
            nonlocal tracker
            if step == 0:
                keep_provenance(folder.path)
            tracker = open_tracker(recipe, config, folder, step)

        ranks.on_rank_0(open_it)
        if sentence := tracker.follow():
            log.info("%s", sentence)
        with watch_signals() as interruption, tracker, profiled(config, folder.path, ranks):
            tracker.uses_manifests(read)
            if not trainer.state.finished:
                trainer.fit(tracker, interruption)
            figures = {trainer.task.unit.figure: trainer.state.best_score, "seed": config.seed}
            tracker.model(model_name(folder), folder.model, figures)
            tracker.alert("finished", "finished", outcome())
            log.info("%s", tracker.where())
        if ranks.first:
            reported.touch()
        if interruption.signal:
            raise Interrupted("The training is finished; the same command goes on from there.", interruption.signal)
    log.info("%s: %s", outcome(), folder.model)


def model_name(folder: RunFolder) -> str:
    """The name of a run's model among the artifacts of Weights & Biases."""
    return f"model-{folder.path.name}"


def manifests(recipe: Recipe, config: Config) -> list[Path]:
    """All manifests of a run, as far as they are there."""
    paths = [*training_manifests(recipe, config), *(recipe.manifest(config, split) for split in SPLITS)]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def restarts(config: Config) -> bool:
    """Whether to begin anew: not where the launcher gives the same command again to go on with what it began.

    Raises:
        ConfigError: It cannot be known.
    """
    if not config.training.restart:
        return False
    if rejoins():
        raise ConfigError(
            "training.restart=true under torchrun on several nodes would begin anew whenever a node comes back: "
            "remove the run folder instead, or change the name."
        )
    if started_again():
        log.info("The job was started again: it goes on, whatever training.restart says.")
        return False
    return True


def check_precision(ranks: Ranks, hardware: Hardware) -> None:
    """Finds nodes of different kinds under hardware.precision=auto.

    Raises:
        RunError: The ranks would train in different precision.
    """
    names = sorted(set(ranks.gather([hardware.precision.name])))
    if len(names) > 1:
        raise RunError(f"The ranks would train in different precision ({', '.join(names)}): set hardware.precision.")


def open_tracker(recipe: Recipe, config: Config, folder: RunFolder, step: int) -> Tracker:
    """The tracker of a run that goes on from a step."""
    settings = plain(config) | {"cells": "+".join(cell.name for cell in config.model.cells)}
    return Tracker(folder.path, config.tracker, Job(folder.path.name, recipe.name, settings, "train"), step)
