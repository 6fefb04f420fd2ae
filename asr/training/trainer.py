"""The training loop."""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor

from asr.batching.loader import Batch, load
from asr.batching.steps import Step, Steps, micro_batches_of
from asr.common.errors import Interrupted, RunError
from asr.common.progress import Progress
from asr.common.seeds import derive_seed
from asr.settings.root import Config
from asr.tracking.metrics import panel_row
from asr.tracking.tracker import Tracker
from asr.training.checkpoint import CheckpointWriter, apply_checkpoint, foreign_checkpoints, newest_checkpoint
from asr.training.debugging import STEPS_IN_EPOCH
from asr.training.distributed import (
    Ranks,
    RankStatus,
    StepOutcome,
    StepResult,
    all_reduce_outcome,
    data_parallel,
    no_sync,
)
from asr.training.folder_watch import FolderWatch
from asr.training.hardware import Hardware, give_back_freed_memory, say_what_changed
from asr.training.interruption import Interruption
from asr.training.memory import named_if_full, try_batches
from asr.training.optimization import AveragedModel, LayerWatch, OptimizerStep, build_optimizer, learning_rate
from asr.training.run_folder import RunFolder
from asr.training.task import Task, Validation
from asr.training.timing import Clock, Watchdog, steps_expected
from asr.training.train_state import TrainState, UnreadableUtterances, rescale

log = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask", bound=Task)


class Trainer(Generic[AnyTask]):
    """Trains one model on one rank, together with the trainers of the other ranks."""

    def __init__(self, config: Config, task: AnyTask, hardware: Hardware, ranks: Ranks, folder: RunFolder) -> None:
        self.config, self.task = config, task
        self.hardware, self.ranks, self.folder = hardware, ranks, folder
        self.model, self.train, self.labels = task.model, task.train, task.labels
        self.averaged = AveragedModel(self.model, config.training.ema_decay)
        self.parallel = data_parallel(task.objective, ranks)
        self.optimizer = build_optimizer(self.model, config.optimizer)
        clip_norm = config.training.clip_norm
        self.optimizer_step = OptimizerStep(self.model, self.optimizer, self.averaged, clip_norm, hardware)
        self.steps = Steps(self.train, self.labels, config.batching, config.seed, ranks.rank, ranks.size)
        self.steps.limit = STEPS_IN_EPOCH[config.debug.mode]
        self.state = TrainState()
        self.unreadable = UnreadableUtterances(config.training.max_lost_utterances, ranks)
        self.watchdog = Watchdog(config.cluster.watchdog_minutes, ranks.rank)
        self.writer = CheckpointWriter(folder.checkpoints, config.training.keep_checkpoints)
        self.interruption = Interruption()
        self.place = FolderWatch(folder, ranks)
        self.start_clocks()

    def restore(self) -> bool:
        """Loads the newest whole checkpoint of the run folder; says whether there is one."""
        saved = self.ranks.on_rank_0(lambda: newest_checkpoint(self.folder.checkpoints))
        if saved is None:
            return False
        with foreign_checkpoints(self.folder.checkpoints):
            apply_checkpoint(saved, {"model": self.model, "averaged": self.averaged.module}, self.optimizer)
            if scaler := saved.get("scaler"):
                self.optimizer_step.scaler.load_state_dict(scaler)
            self.state = TrainState.of(saved["progression"])
            say_what_changed(saved, {"ranks": self.ranks.size, **self.hardware.conditions()})
        return True

    def fit(self, tracker: Tracker, interruption: Interruption | None = None) -> float:
        """Trains from the present state to the end of the last epoch.

        Args:
            interruption: Holds the signal that asks the training to end; None for no signals.

        Returns:
            The best score on the dev split, as of `asr.training.task.Validation`.

        Raises:
            Interrupted: A signal asked the training to end; its state is saved.
            RunError: The batches take too much memory, too many steps were not finite, too many utterances are
                unreadable or all of dev, or a checkpoint cannot be written.
        """
        state, self.interruption = self.state, interruption or Interruption()
        self.unreadable.check(state)
        plan = (state.epoch, state.position, self.config.training.epochs)
        batches = self.load(self.steps.start(*plan))
        self.start_clocks()
        with self.watchdog, self.writer, Progress("Training", 0, "steps", state.step) as progress:
            self.try_largest_batches()
            self.warm_up_all_reduce()
            speed = ""
            for step in self.steps.start(*plan):
                result = self.train_step(step, batches)
                if result.metrics:
                    self.log(tracker, step, result.metrics)
                    speed = self.task.unit.speeds(result.metrics)
                progress.expect(steps_expected(state.step, step, self.config.training.epochs))
                progress.advance(note=self.task.unit.note(state, result.loss, result.learning_rate, speed))
                if step.ends_epoch:
                    self.end_epoch(tracker, step, progress)
                if result.folder_lost or (step.ends_epoch and self.ranks.broadcast(self.place.lost)):
                    self.place.rescue(self.state, self.writer, tracker, self._keep, self.save)
                if step.ends_epoch or result.checkpoint_due or result.signal:
                    self.save()
                if result.signal or state.finished:
                    self.ranks.on_rank_0(self.writer.wait)
                if result.signal and not state.finished:
                    raise Interrupted(
                        f"Saved at step {state.step}; the same command goes on from there.", result.signal
                    )
                if state.finished:
                    break
        return state.best_score

    def start_clocks(self) -> None:
        """Starts the clocks of the training time, of the checkpoints and of the metrics."""
        self._began = time.monotonic() - self.state.seconds
        self._saved = time.monotonic()
        self._clock = self._new_clock()

    def load(self, steps: Iterable[Step]) -> Iterator[Batch]:
        """The batches of this rank for steps, one for each micro-batch, without the utterances that are unreadable."""
        pin, workers = self.hardware.device.type == "cuda", self.config.hardware.workers
        batches = load(micro_batches_of(steps), self.train, self.labels, workers, self.train.ids, pin)
        return self.unreadable.watch(batches)

    def train_step(self, step: Step, batches: Iterator[Batch]) -> StepResult:
        """Takes one optimizer step; all ranks call it together.

        The gradient is accumulated over the micro-batches, all-reduced, made that of the utterances that could be read,
        clipped, and given to the optimizer; where it is not finite, the step is skipped.

        Args:
            batches: As `load` gives them; one for each micro-batch is taken.

        Raises:
            RunError: Memory ran out, too many steps were not finite, too many utterances are unreadable, or a
                checkpoint cannot be written.
        """
        state, clock = self.state, self._clock
        clock.begin()
        learning_rate = self._set_learning_rate(step)
        part_of_loss = self.accumulate(step, batches)
        self.optimizer_step.unscale()
        norm = self.optimizer_step.gradient_norm()
        clock.mark("compute")
        outcome = self._all_reduce_outcome(part_of_loss, norm)
        clock.mark("compute" if self.hardware.device.type == "cuda" else "ranks_wait")
        if unreadable := outcome.unreadable_labels:
            self.unreadable.record(state, f"Step {state.step + 1}")
            loss = outcome.loss * rescale(self.model, step, unreadable)
            norm = self.optimizer_step.gradient_norm()
            outcome = replace(outcome, loss=loss, gradient_norm=float(norm))
        logged = step.ends_epoch or (state.step + 1) % self.config.training.log_every_steps == 0
        layers = LayerWatch(self.model) if logged else None
        state.advance(step, outcome.loss)
        self.watchdog.step_ended()
        if not outcome.finite:
            self._skip(step, outcome)
        elif unreadable < step.labels:
            self.optimizer_step.step(norm, state.step)
        self.optimizer_step.finish()
        clock.mark("update")
        state.seconds = time.monotonic() - self._began
        clock.count(step)
        result = StepResult(**vars(outcome), learning_rate=learning_rate)
        return result if layers is None else replace(result, metrics=self._metrics(step, result, layers))

    def accumulate(self, step: Step, batches: Iterator[Batch]) -> Tensor:
        """Accumulates the gradient over this rank's micro-batches; the last backward pass all-reduces it.

        Returns:
            This rank's part of the loss, float64 (), on the device, for which nothing waits.
        """
        loss = torch.zeros((), dtype=torch.float64, device=self.hardware.device)
        for number in range(len(step.micro_batches)):
            self.watchdog.reach(f"step {self.state.step}, waiting for data")
            self._clock.mark("compute")
            batch = next(batches)
            self._clock.mark("data_wait")
            self.watchdog.reach(f"step {self.state.step}, gradients and their all-reduce")
            torch.manual_seed(derive_seed("dropout", self.config.seed, self.state.step, self.ranks.rank, number))
            with nullcontext() if number + 1 == len(step.micro_batches) else no_sync(self.parallel):
                loss += self.backward(batch, step)
        return loss

    def backward(self, batch: Batch, step: Step) -> Tensor:
        """Runs a micro-batch of a step forward and backward; gives its part of the loss, float64 (), on the device."""
        with named_if_full(self.config, self.task.unit):
            loss = self.micro_batch_loss(batch) / step.labels
            # DistributedDataParallel divides the sum over the ranks by their number.
            torch.autograd.backward(self.optimizer_step.scale(loss * self.ranks.size))
        return loss.detach()

    def micro_batch_loss(self, batch: Batch) -> Tensor:
        """The loss of a micro-batch, summed over its examples."""
        batch = batch.to(self.hardware.device)
        if len(batch.utterances) == 0:
            return self.task.no_loss(self.parallel)
        return self.task.loss(self.parallel, batch)

    def warm_up_all_reduce(self) -> None:
        """All-reduces gradients of zeros once before the first step.

        DistributedDataParallel regroups the gradients after the first all-reduce, and so adds them in another order:
        the first step of a resumed training would differ in the last bits from that of an uninterrupted one.
        """
        if self.ranks.size > 1:
            torch.autograd.backward(self.task.no_loss(self.parallel))
            self.optimizer.zero_grad()

    def try_largest_batches(self) -> None:
        """Tries whether the largest batches of this epoch fit into memory, without all-reduce.

        Raises:
            RunError: They do not fit.
        """
        self.watchdog.reach("trying the largest batches")
        largest, reserved = self.steps.largest(self.state.epoch), 0 if self.optimizer.state else 2
        with no_sync(self.parallel):
            try_batches(largest, self.micro_batch_loss, self.task, self.config, self.ranks, reserved)

    def end_epoch(self, tracker: Tracker, step: Step, progress: Progress) -> None:
        """Validates, logs, keeps the model if it is the best, and decides whether the training is finished."""
        state, early = self.state, self.config.training.early_stopping_epochs
        validation = self.validate()
        progress.say(f"{validation.of_epoch(state)}{progress.left}")
        if validation.panel:
            tracker.panel(panel_row(state.step, state.epoch, validation.panel))
        self.log(tracker, step, {**state.epoch_metrics, **validation.metrics})
        self.keep_if_best(validation)
        stopped = early is not None and state.epoch - state.improved_epoch >= early
        if stopped:
            progress.say(f"No better {self.task.unit.judged_by} for {early} epochs: the training stops early.")
        state.finished = stopped or state.epoch == self.config.training.epochs
        state.seconds = time.monotonic() - self._began
        self._clock = self._new_clock()

    def validate(self) -> Validation:
        """Validates the averaged weights on the dev split; all ranks call it together.

        Raises:
            RunError: Nothing of dev can be read, or too many utterances are unreadable.
        """
        self.watchdog.reach(f"step {self.state.step}, decoding dev")
        began = time.perf_counter()
        give_back_freed_memory()
        found = self.task.validate(self.averaged.module, self.ranks, self.unreadable)
        give_back_freed_memory()
        self.unreadable.record(self.state, "Decoding dev")
        if found is None:
            raise RunError(
                "No utterance of dev can be read any more: is the disk still there? The same command goes on from the "
                "last checkpoint."
            )
        seconds = {"time/validation_seconds": time.perf_counter() - began}
        return replace(found, metrics={**found.metrics, **seconds, **self.hardware.memory()})

    def keep_if_best(self, validation: Validation) -> None:
        """Saves the averaged weights as the model of the run if none was better on dev."""
        if self.state.validated(validation.score, self.config.training.with_dev):
            self._keep()

    def _keep(self) -> None:
        self.ranks.on_rank_0(lambda: self.task.save(self.folder.model, self.averaged.module))

    def save(self) -> None:
        """Has a checkpoint written."""
        self.watchdog.reach(f"step {self.state.step}, saving")
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.optimizer_step.scaler.state_dict(),
            "progression": asdict(self.state),
            "ranks": self.ranks.size,
            "conditions": self.hardware.conditions(),
        }
        self.ranks.on_rank_0(lambda: self.writer.save(self.state.step, state))
        self._saved = time.monotonic()

    def log(self, tracker: Tracker, step: Step, metrics: Mapping[str, float]) -> None:
        """Logs metrics after a step, and starts the next interval of the clock."""
        epoch = step.epoch + (step.position + 1) / step.epoch_steps
        tracker.log(self.state.step, epoch, self.state.seconds, metrics)
        self._clock = self._new_clock()

    def _all_reduce_outcome(self, loss: Tensor, gradient_norm: Tensor) -> StepOutcome:
        self.watchdog.reach(f"step {self.state.step}, waiting for the other ranks")
        status = RankStatus(
            unreadable_labels=self.unreadable.labels,
            checkpoint_due=(time.monotonic() - self._saved) / 60 > self.config.training.checkpoint_minutes,
            checkpoint_failed=self.writer.failed,
            folder_lost=self.place.lost,
            signal=self.interruption.signal,
        )
        outcome = all_reduce_outcome(self.ranks, loss, gradient_norm, status)
        if outcome.checkpoint_failed and not outcome.folder_lost:
            self.ranks.on_rank_0(self.writer.wait)
        return outcome

    def _set_learning_rate(self, step: Step) -> float:
        progress = (step.epoch + step.position / step.epoch_steps) / self.config.training.epochs
        rate = learning_rate(self.config.optimizer.learning_rate, self.config.schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _skip(self, step: Step, outcome: StepOutcome) -> None:
        """Counts a step whose loss or gradient is not finite, on all ranks alike."""
        if math.isfinite(outcome.loss) and self.optimizer_step.overflowed():
            return  # normal in float16: the loss scale falls
        self.state.skipped_steps += 1
        ids = ", ".join(self.train.ids[number] for number in step.utterances)
        log.warning("Step %d is skipped: its loss or gradient is not finite. Utterances: %s", self.state.step, ids)
        if self.state.skipped_steps > self.config.training.max_skipped_steps:
            raise RunError(
                f"{self.state.skipped_steps} steps were not finite, more than training.max_skipped_steps: "
                "lower optimizer.learning_rate, or look at the utterances named in train.log."
            )

    def _metrics(self, step: Step, result: StepResult, layers: LayerWatch) -> dict[str, float]:
        """What is logged of a step."""
        times = self._clock.metrics()  # before the norms of the layers, which wait for the device
        return {
            "train/loss": result.loss,
            "train/learning_rate": result.learning_rate,
            "train/gradient_norm": result.gradient_norm,
            **layers.metrics(),
            **self.optimizer_step.metrics(),
            "data/padding_share": step.padding,
            **times,
        }

    def _new_clock(self) -> Clock:
        return Clock(self.task.unit, torch.get_num_threads() if self.hardware.device.type == "cpu" else 0)
