"""The training loop."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Generic, TypeVar

import torch
from torch import Tensor

from asr.batching.loader import Batch, load
from asr.batching.steps import Step, Steps, shares_of
from asr.common.errors import Interrupted, RunError
from asr.common.progress import Progress
from asr.common.seeds import derive_seed
from asr.settings.root import Config
from asr.tracking.metrics import panel_row
from asr.tracking.tracker import Tracker
from asr.training.checkpoint import CheckpointWriter, newest_checkpoint
from asr.training.debugging import STEPS_IN_EPOCH
from asr.training.distributed import Agreement, Ranks, agree, no_sync, share_gradients
from asr.training.hardware import Hardware, give_back_freed_memory
from asr.training.interruption import Interruption
from asr.training.layer_metrics import LayerWatch
from asr.training.lost import LostUtterances, rescale
from asr.training.memory import named_if_full, try_batches
from asr.training.optimization import AveragedModel, Update, build_optimizer, set_learning_rate
from asr.training.progression import Clock, TrainState
from asr.training.run_folder import RunFolder
from asr.training.task import Task
from asr.training.watchdog import Watchdog

log = logging.getLogger(__name__)

AnyTask = TypeVar("AnyTask", bound=Task)


class Trainer(Generic[AnyTask]):
    """Trains one model on one rank, together with the trainers of the other ranks."""

    def __init__(self, config: Config, task: AnyTask, hardware: Hardware, ranks: Ranks, folder: RunFolder) -> None:
        self.config, self.task = config, task
        self.hardware, self.ranks, self.folder = hardware, ranks, folder
        self.model, self.train, self.labels = task.model, task.train, task.labels
        self.averaged = AveragedModel(self.model, config.training.ema_decay)
        self.parallel = share_gradients(task.objective, ranks)
        self.optimizer = build_optimizer(self.model, config.optimizer)
        self.update = Update(self.model, self.optimizer, self.averaged, config.training.clip_norm, hardware)
        limit = STEPS_IN_EPOCH[config.debug.mode]
        self.steps = Steps(self.train, self.labels, config.batching, config.seed, ranks.rank, ranks.size, limit)
        self.done = TrainState()
        self.lost = LostUtterances(config.training.max_lost_utterances, ranks)
        self.watchdog = Watchdog(config.cluster.watchdog_minutes, ranks.rank)
        self.writer = CheckpointWriter(folder.checkpoints, config.training.keep_checkpoints)

    def restore(self) -> bool:
        """Takes up the newest whole checkpoint of the run folder; says whether there is one."""
        state = self.ranks.on_rank_0(lambda: newest_checkpoint(self.folder.checkpoints))
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.averaged.module.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        if scaler := state.get("scaler"):
            self.update.scaler.load_state_dict(scaler)
        self.done = TrainState.of(state["progression"])
        if state["ranks"] != self.ranks.size:
            log.warning("The run began on %d ranks and goes on with %d: same batches.", state["ranks"], self.ranks.size)
        return True

    def fit(self, tracker: Tracker, interruption: Interruption | None = None) -> float:
        """Trains from where the run stands to the end of its last epoch.

        Args:
            interruption: Told when a signal asks the training to end; None knows of no signals.

        Returns:
            The best score on the dev split, as of `asr.training.task.Validation`.

        Raises:
            Interrupted: A signal asked the training to end; its state is saved.
            RunError: The batches take too much memory, too many steps were not finite, too many utterances are lost or
                all of dev, or a checkpoint cannot be written.
        """
        config, done, interruption = self.config, self.done, interruption or Interruption()
        self.lost.check(done)
        start = (done.epoch, done.position, config.training.epochs)
        shares = shares_of(self.steps.start(*start))
        pin, workers = self.hardware.device.type == "cuda", config.hardware.workers
        batches = self.lost.watch(load(shares, self.train, self.labels, workers, self.train.ids, pin))
        seconds_before, began = done.seconds, time.monotonic()
        saved, clock, speed = began, Clock(self.task.unit), dict[str, float]()
        with self.watchdog, self.writer, self._progress() as progress:
            self._try_memory()
            self._settle_exchange()
            for step in self.steps.start(*start):
                clock.begin()
                rate = self._set_learning_rate(step)
                part = self._accumulate(step, batches, clock)
                self.update.unscale()
                norm = self.update.norm()
                clock.mark("compute")
                due = (time.monotonic() - saved) / 60 > config.training.checkpoint_minutes
                agreed = self._agree(part, norm, due, interruption.signal)
                clock.mark("compute" if pin else "ranks_wait")
                loss, due, signal = agreed.loss, agreed.due, agreed.signal
                if agreed.lost_labels:
                    self.lost.settle(done, f"Step {done.step + 1}")
                    loss *= rescale(self.model, step, agreed.lost_labels)
                    norm = self.update.norm()
                logged = step.ends_epoch or (done.step + 1) % config.training.log_every_steps == 0
                layers = LayerWatch(self.model) if logged else None
                done.step += 1
                self.watchdog.step_ended()
                if not agreed.finite:
                    self._skip(step, agreed)
                elif agreed.lost_labels < step.labels:
                    self.update.take(norm, done.step)
                self.update.end()
                clock.mark("update")
                done.epoch, done.position = (step.epoch + 1, 0) if step.ends_epoch else (step.epoch, step.position + 1)
                done.seconds = seconds_before + time.monotonic() - began
                clock.count(step)
                if layers is not None:
                    metrics = {"train/loss": loss, "train/learning_rate": rate, "train/gradient_norm": float(norm)}
                    speed, padding = clock.metrics(), {"data/padding_share": step.padding}
                    self._log(tracker, step, metrics | layers.metrics() | self.update.metrics() | padding | speed)
                    clock = Clock(self.task.unit)
                progress.advance(note=done.note(loss, rate, speed, self.task.unit))
                if step.ends_epoch:
                    self._validate(tracker, step, progress)
                    done.seconds = seconds_before + time.monotonic() - began
                    clock = Clock(self.task.unit)
                if step.ends_epoch or due or signal:
                    self._save()
                    saved = time.monotonic()
                if signal or done.finished:
                    self.ranks.on_rank_0(self.writer.wait)
                if signal and not done.finished:
                    raise Interrupted(f"Saved at step {done.step}; the same command goes on from there.", signal)
                if done.finished:
                    break
        return done.best_score

    def _accumulate(self, step: Step, batches: Iterator[Batch], clock: Clock) -> Tensor:
        """Adds up the gradient of this rank's shares, the last one's backward pass over the ranks; gives its part of
        the loss, float64 (), on the device, for which nothing waits.
        """
        loss = torch.zeros((), dtype=torch.float64, device=self.hardware.device)
        for number in range(len(step.shares)):
            self.watchdog.reach(f"step {self.done.step}, waiting for data")
            clock.mark("compute")
            batch = next(batches)
            clock.mark("data_wait")
            self.watchdog.reach(f"step {self.done.step}, gradients and their exchange")
            torch.manual_seed(derive_seed("dropout", self.config.seed, self.done.step, self.ranks.rank, number))
            last = number + 1 == len(step.shares)
            with nullcontext() if last else no_sync(self.parallel), named_if_full(self.config, self.task.unit):
                share_loss = self._loss(batch.to(self.hardware.device)) / step.labels
                # DistributedDataParallel divides the sum over the ranks by their number.
                torch.autograd.backward(self.update.scale(share_loss * self.ranks.size))
            loss += share_loss.detach()
        return loss

    def _loss(self, batch: Batch) -> Tensor:
        """The loss of a share, summed over its examples."""
        if len(batch.utterances) == 0:
            return self.task.no_loss(self.parallel)
        return self.task.loss(self.parallel, batch)

    def _settle_exchange(self) -> None:
        """Exchanges gradients of zeros once before the first step.

        DistributedDataParallel groups the gradients anew after the first exchange, and so adds them in another order:
        the first step of a resumed training would differ in the last bits from that of one never interrupted.
        """
        if self.ranks.size > 1:
            torch.autograd.backward(self.task.no_loss(self.parallel))
            self.optimizer.zero_grad()

    def _try_memory(self) -> None:
        """Tries the largest batches of this epoch, without any exchange between ranks."""
        self.watchdog.reach("trying the largest batches")

        def loss(batch: Batch) -> Tensor:
            return self._loss(batch.to(self.hardware.device))

        with no_sync(self.parallel):
            largest, unit = self.steps.largest(self.done.epoch), self.task.unit
            reserved = 0 if self.optimizer.state else 2
            try_batches(largest, loss, self.model, self.train, self.labels, self.config, self.ranks, reserved, unit)

    def _agree(self, loss: Tensor, norm: Tensor, due: bool, signal: int) -> Agreement:
        """What all ranks know of a step.

        Raises:
            RunError: A checkpoint cannot be written.
        """
        self.watchdog.reach(f"step {self.done.step}, waiting for the other ranks")
        agreed = agree(self.ranks, loss, norm, self.lost.labels, due, self.writer.failed, signal)
        if agreed.failed:
            self.ranks.on_rank_0(self.writer.wait)
        return agreed

    def _set_learning_rate(self, step: Step) -> float:
        progress = (step.epoch + step.position / step.epoch_steps) / self.config.training.epochs
        return set_learning_rate(self.optimizer, self.config.optimizer, self.config.schedule, progress)

    def _skip(self, step: Step, agreed: Agreement) -> None:
        """Passes over a step whose loss or gradient is not finite, on all ranks alike."""
        if math.isfinite(agreed.loss) and self.update.overflowed():
            return  # the price of float16, not a fault: the loss scale falls
        self.done.skipped_steps += 1
        ids = ", ".join(self.train.ids[number] for number in step.utterances)
        log.warning("Step %d is skipped: its loss or gradient is not finite. Utterances: %s", self.done.step, ids)
        if self.done.skipped_steps > self.config.training.max_skipped_steps:
            raise RunError(
                f"{self.done.skipped_steps} steps were not finite, more than training.max_skipped_steps: "
                "lower optimizer.learning_rate, or look at the utterances named in train.log."
            )

    def _validate(self, tracker: Tracker, step: Step, progress: Progress) -> None:
        """Tries the averaged weights on the dev split and keeps the model if it is the best."""
        done, early = self.done, self.config.training.early_stopping_epochs
        self.watchdog.reach(f"step {done.step}, decoding dev")
        began, model = time.perf_counter(), self.averaged.module
        give_back_freed_memory()
        found = self.task.validate(model, self.ranks, self.lost)
        give_back_freed_memory()
        self.lost.settle(done, "Decoding dev")
        if found is None:
            raise RunError(
                "No utterance of dev can be read any more: is the disk still there? The same command goes on from the "
                "last checkpoint."
            )
        seconds = {"time/validation_seconds": time.perf_counter() - began}
        progress.say(f"Epoch {done.epoch}: {found.sentence}")
        if found.panel:
            tracker.panel(panel_row(done.step, done.epoch, found.panel))
        self._log(tracker, step, {**found.metrics, **seconds, **self.hardware.memory()})
        if done.validated(found.score, self.config.training.with_dev):
            self.ranks.on_rank_0(lambda: self.task.save(self.folder.model, model))
        stopped = early is not None and done.epoch - done.improved_epoch >= early
        if stopped:
            progress.say(f"No better {self.task.unit.judged_by} for {early} epochs: the training stops early.")
        done.finished = stopped or done.epoch == self.config.training.epochs

    def _save(self) -> None:
        self.watchdog.reach(f"step {self.done.step}, saving")
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.update.scaler.state_dict(),
            "progression": asdict(self.done),
            "ranks": self.ranks.size,
        }
        self.ranks.on_rank_0(lambda: self.writer.save(self.done.step, state))

    def _log(self, tracker: Tracker, step: Step, metrics: dict[str, float]) -> None:
        epoch = step.epoch + (step.position + 1) / step.epoch_steps
        tracker.log(self.done.step, epoch, self.done.seconds, metrics)

    def _progress(self) -> Progress:
        """A bar over all steps; their number in later epochs is taken to be that of the first."""
        first = next(self.steps.start(0, 0, 1))
        return Progress("Training", first.epoch_steps * self.config.training.epochs, "steps", self.done.step)
