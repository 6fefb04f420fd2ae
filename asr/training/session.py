"""One training of any kind, from the lock on its run folder to the report of how it ended."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic

import torch

from asr.common.errors import ConfigError, Interrupted, RunError
from asr.data.mixture import training_manifests
from asr.data.splits import SPLITS
from asr.model.acoustic import count_parameters
from asr.scoring.provenance import hardware as hardware_name
from asr.scoring.provenance import keep_provenance
from asr.settings.compose import plain
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.tracking.metrics import read_metrics
from asr.tracking.tracker import FINISHED, Tracker
from asr.tracking.wandb_run import Job
from asr.training.debugging import profiled
from asr.training.distributed import Ranks, join_ranks, lost_ranks_named
from asr.training.hardware import Hardware
from asr.training.interruption import watch_signals
from asr.training.launch import rejoins, started_again
from asr.training.run_folder import CONFIG_HASH, REPORTED, RunFolder
from asr.training.run_state import failure_kept, state_kept
from asr.training.train_state import TrainState
from asr.training.trainer import AnyTask, Trainer

log = logging.getLogger(__name__)


class Training(ABC, Generic[AnyTask]):
    """What a kind of training brings to `train`.

    Args:
        config: As it is trained with.
        folder: Of the run.
    """

    def __init__(self, recipe: Recipe, config: Config, hardware: Hardware, folder: RunFolder) -> None:
        self.recipe, self.config, self.hardware, self.folder = recipe, config, hardware, folder

    def check(self) -> None:
        """Refuses data with mistakes; called on rank 0, with the run folder locked.

        Raises:
            DataError: There are mistakes.
        """

    def identity(self) -> dict[str, str]:
        """What the run keeps of what it is, by which it is known again under another name."""
        return {CONFIG_HASH: self.folder.config_hash}

    @abstractmethod
    def build(self, ranks: Ranks) -> Trainer[AnyTask]:
        """Builds the trainer, at the state of its newest checkpoint."""

    @abstractmethod
    def describe(self, task: AnyTask) -> str:
        """The data that is trained on, in words."""

    @abstractmethod
    def outcome(self, score: float) -> str:
        """The best score, in words."""

    @abstractmethod
    def manifests(self) -> Sequence[Path]:
        """The manifests that are read."""


def train(training: Training[AnyTask]) -> float:
    """Trains to the end, from where an earlier start left off, and reports it.

    Returns:
        The best score on dev.

    Raises:
        DataError: The data has mistakes.
        Interrupted: A signal asked the training to end.
        RunError: It cannot go on.
    """
    config, folder = training.config, training.folder
    ranks = join_ranks(training.hardware.device, config.cluster.join_minutes)
    with ExitStack() as stack, lost_ranks_named(ranks):

        def begin() -> None:
            stack.enter_context(folder.trained(config, restarts(config)))
            stack.enter_context(state_kept(folder))
            training.check()

        ranks.on_rank_0(begin)
        if not ranks.first:
            stack.enter_context(failure_kept(folder))
        check_precision(ranks, training.hardware)
        trainer = training.build(ranks)
        reported, has_model = ranks.broadcast(((folder.path / REPORTED).exists(), folder.model.is_dir()))
        if reported and has_model and trainer.state.step == 0:
            log.info("The checkpoints of %s are gone, and its model is there.", folder.path)
            trainer.state = ranks.on_rank_0(lambda: _state_of(trainer, folder))
        if reported and trainer.state.finished:
            if not has_model:
                raise RunError(f"{folder.model} of the finished run is gone: start over with training.restart=true.")
            log.info("The run %s is finished.", folder.path)
        else:
            _carry_out(training, trainer)
        log.info("%s: %s", _outcome(training, trainer), folder.model)
        return trainer.state.best_score


def _state_of(trainer: Trainer[AnyTask], folder: RunFolder) -> TrainState:
    """The state of a finished training whose checkpoints somebody has deleted, to the last of its metrics.

    Raises:
        RunError: They are gone too.
    """
    figure = trainer.task.unit.figure.replace("_", "/", 1)
    rows = [row for row in read_metrics(folder.path) if figure in row]
    if not rows:
        raise RunError(
            f"{folder.path} has neither checkpoints nor metrics, only a model: start over with training.restart=true."
        )
    best = min(reversed(rows), key=lambda row: row[figure])
    return TrainState(best_score=best[figure], best_epoch=int(best["epoch"]), finished=True)


def _carry_out(training: Training[AnyTask], trainer: Trainer[AnyTask]) -> None:
    config, folder, ranks, state = training.config, training.folder, trainer.ranks, trainer.state
    _describe(training, trainer)
    step, tracker = state.step, Tracker.silent()

    def open_it() -> None:
        nonlocal tracker
        if step == 0:
            keep_provenance(folder.path, training.identity())
        tracker = open_tracker(training.recipe, config, folder, step)

    ranks.on_rank_0(open_it)
    if sentence := tracker.follow():
        log.info("%s", sentence)
    with watch_signals() as interruption, tracker, profiled(config, folder.path, ranks):
        tracker.uses_manifests(training.manifests())
        if not state.finished:
            trainer.fit(tracker, interruption)
        figures = {trainer.task.unit.figure: state.best_score, "seed": config.seed}
        tracker.model(model_name(folder), folder.model, figures)
        tracker.alert(FINISHED, _outcome(training, trainer))
        log.info("%s", tracker.where())
    if ranks.first:
        (folder.path / REPORTED).touch()
    if interruption.signal:
        raise Interrupted("The training is finished; the same command goes on from there.", interruption.signal)


def _describe(training: Training[AnyTask], trainer: Trainer[AnyTask]) -> None:
    state, hardware = trainer.state, training.hardware
    log.info("Run %s", training.folder.path)
    log.info(
        "%.2f M parameters; %s; %s on %s, %d ranks of %d threads",
        count_parameters(trainer.model) / 1e6,
        training.describe(trainer.task),
        hardware.precision.name,
        hardware_name(),
        trainer.ranks.size,
        torch.get_num_threads(),
    )
    if state.step:
        log.info("Resuming from step %d, epoch %d, after %.0f s of training.", state.step, state.epoch, state.seconds)


def _outcome(training: Training[AnyTask], trainer: Trainer[AnyTask]) -> str:
    state, outcome = trainer.state, training.outcome(trainer.state.best_score)
    if training.config.training.with_dev or state.improved_epoch == state.best_epoch:
        return f"{outcome} after epoch {state.best_epoch}"
    kept = f"the kept model is the last that has it, of epoch {state.best_epoch}"
    return f"{outcome} after epoch {state.improved_epoch}; {kept}"


def model_name(folder: RunFolder) -> str:
    """The name of a run's model among the artifacts of Weights & Biases."""
    return f"model-{folder.path.name}"


def manifests(recipe: Recipe, config: Config) -> list[Path]:
    """All manifests of a recipe that are there."""
    paths = [*training_manifests(recipe, config), *(recipe.manifest(config, split) for split in SPLITS)]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def restarts(config: Config) -> bool:
    """Whether to start over: not where a launcher repeats the command to go on with what it began.

    Raises:
        ConfigError: It cannot be known.
    """
    if not config.training.restart:
        return False
    if rejoins():
        raise ConfigError(
            "training.restart=true under torchrun on several nodes would start over whenever a node comes back: "
            "remove the run folder instead, or change the name."
        )
    if started_again():
        log.info("The job was restarted: it resumes, and training.restart is ignored.")
        return False
    return True


def check_precision(ranks: Ranks, hardware: Hardware) -> None:
    """Refuses nodes of different kinds under hardware.precision=auto.

    Raises:
        RunError: The ranks would train in different precision.
    """
    names = sorted(set(ranks.gather([hardware.precision.name])))
    if len(names) > 1:
        raise RunError(f"The ranks would train in different precision ({', '.join(names)}): set hardware.precision.")


def open_tracker(recipe: Recipe, config: Config, folder: RunFolder, step: int) -> Tracker:
    """The tracker of a run that goes on from a step."""
    job = Job(tracked_name(config, folder), recipe.name, tracked_settings(config), "train")
    return Tracker(folder.path, config.tracker, job, step)


def tracked_settings(config: Config) -> dict[str, Any]:
    """What Weights & Biases keeps of a configuration, with the cells in one word to group by."""
    return plain(config) | {"cells": "+".join(cell.name for cell in config.model.cells)}


def tracked_name(config: Config, folder: RunFolder) -> str:
    """The name of a training in Weights & Biases."""
    return config.tracker.name or folder.path.name
