"""The training loop."""

import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from asr.config import Config
from asr.data.draws import mix
from asr.data.loader import Batch, load
from asr.errors import Interrupted, RunError
from asr.features.augment import spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import FrontEnd
from asr.features.inputs import Inputs
from asr.model.acoustic import AcousticModel
from asr.model.folder import save_model
from asr.progress import Progress
from asr.text.labels import labels_of_all
from asr.text.protocol import Tokenizer
from asr.tracking.panel import panel_row
from asr.tracking.tracker import Tracker
from asr.training.checkpoint import newest_checkpoint
from asr.training.checkpoint_writer import CheckpointWriter
from asr.training.debugging import STEPS_IN_EPOCH
from asr.training.distributed import Ranks, share_gradients, without_exchange
from asr.training.hardware import Hardware
from asr.training.interruption import SIGNALS, Interruption
from asr.training.layers import LayerWatch
from asr.training.lost import LostUtterances, rescale
from asr.training.memory import named_if_full, try_batches
from asr.training.objective import Objective
from asr.training.optimization import AveragedModel, build_optimizer, set_learning_rate
from asr.training.progression import Clock, Progression
from asr.training.run_folder import RunFolder
from asr.training.steps import Step, Steps, shares_of
from asr.training.validation import choose_panel, decode_dev, dev_metrics
from asr.training.watchdog import Watchdog

log = logging.getLogger(__name__)


class Trainer:
    """Trains one model on one rank, together with the trainers of the other ranks.

    Args:
        train: Training utterances and how to read them.
        dev: Dev utterances and how to read them.
    """

    def __init__(
        self,
        config: Config,
        train: Inputs,
        dev: Inputs,
        tokenizer: Tokenizer,
        model: AcousticModel,
        hardware: Hardware,
        ranks: Ranks,
        folder: RunFolder,
    ) -> None:
        self.config, self.train, self.dev, self.tokenizer = config, train, dev, tokenizer
        self.hardware, self.ranks, self.folder = hardware, ranks, folder
        self.model = model.to(hardware.device, hardware.dtype)
        self.averaged = AveragedModel(self.model, config.training.ema_decay)
        self.parallel = share_gradients(Objective(self.model, config.training, hardware), ranks)
        self.optimizer = build_optimizer(self.model, config.optimizer)
        extractor = FeatureExtractor(config.features, config.data.sampling_rate).to(hardware.device)
        self.front = FrontEnd(extractor, self.model.normalizer, hardware.dtype)
        self.labels = labels_of_all(tokenizer, train.utterances)
        limit = STEPS_IN_EPOCH[config.debug.mode]
        self.steps = Steps(train, self.labels, config.batching, config.seed, ranks.rank, ranks.size, limit)
        self.done = Progression()
        self.lost = LostUtterances(config.training.max_lost_utterances, ranks)
        self.watchdog = Watchdog(config.cluster.watchdog_minutes, ranks.rank)
        self.writer = CheckpointWriter(folder.checkpoints, config.training.keep_checkpoints)

    def restore(self) -> bool:
        """Takes up the newest whole checkpoint of the run folder; says whether there is one."""
        state = self.ranks.only_first(lambda: newest_checkpoint(self.folder.checkpoints))
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.averaged.module.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = Progression(**state["progression"])
        if state["ranks"] != self.ranks.size:
            log.warning("The run began on %d ranks and goes on with %d: same batches.", state["ranks"], self.ranks.size)
        return True

    def fit_normalizer(self, features: Iterable[Tensor]) -> None:
        """Takes the statistics of the training corpus.

        Args:
            features: Of each utterance at its own speed, (frames, dim).
        """
        self.model.normalizer.fit(features)
        self.averaged.module.normalizer.load_state_dict(self.model.normalizer.state_dict())

    def fit(self, tracker: Tracker, interruption: Interruption | None = None) -> float:
        """Trains from where the run stands to the end of its last epoch.

        Args:
            interruption: Told when a signal asks the training to end; None knows of no signals.

        Returns:
            The best WER on the dev split.

        Raises:
            Interrupted: A signal asked the training to end; its state is saved.
            RunError: The batches take too much memory, too many steps were not finite, too many utterances are lost, or
                a checkpoint cannot be written.
        """
        config, done, interruption = self.config, self.done, interruption or Interruption()
        start = (done.epoch, done.position, config.training.epochs)
        shares = shares_of(self.steps.start(*start))
        batches = self.lost.watch(load(shares, self.train, self.labels, config.hardware.workers, self.train.ids))
        seconds_before, began = done.seconds, time.monotonic()
        saved, clock, speed = began, Clock(), dict[str, float]()
        with self.watchdog, self.writer, self._progress() as progress:
            self._try_memory()
            self._settle_exchange()
            for step in self.steps.start(*start):
                clock.begin()
                rate = self._set_learning_rate(step)
                loss = self._accumulate(step, batches, clock)
                clock.mark("compute")
                due = (time.monotonic() - saved) / 60 > config.training.checkpoint_minutes
                loss, lost_labels, due, signal = self._agree(loss, due, interruption.signal)
                clock.mark("ranks_wait")
                if lost_labels:
                    self.lost.settle(done, f"Step {done.step + 1}")
                    loss *= rescale(self.model, step, lost_labels)
                logged = step.ends_epoch or (done.step + 1) % config.training.log_every_steps == 0
                layers = LayerWatch(self.model) if logged else None
                norm = clip_grad_norm_(self.model.parameters(), config.training.clip_norm)
                finite = math.isfinite(loss) and bool(torch.isfinite(norm))
                done.step += 1
                self.watchdog.step_ended()
                if not finite:
                    self._skip(step)
                elif lost_labels < step.labels:
                    self.optimizer.step()
                    self.averaged.update(done.step)
                self.optimizer.zero_grad()
                clock.mark("update")
                done.epoch, done.position = (step.epoch + 1, 0) if step.ends_epoch else (step.epoch, step.position + 1)
                done.seconds = seconds_before + time.monotonic() - began
                clock.count(step)
                if layers is not None:
                    metrics = {"train/loss": loss, "train/learning_rate": rate, "train/gradient_norm": float(norm)}
                    speed, padding = clock.metrics(), {"data/padding_share": step.padding}
                    self._log(tracker, step, metrics | layers.metrics() | padding | speed)
                    clock = Clock()
                progress.advance(note=done.note(loss, rate, speed))
                if step.ends_epoch:
                    self._validate(tracker, step, progress)
                    done.seconds = seconds_before + time.monotonic() - began
                    clock = Clock()
                if step.ends_epoch or due or signal:
                    self._save()
                    saved = time.monotonic()
                if signal or done.finished:
                    self.ranks.only_first(self.writer.wait)
                if signal and not done.finished:
                    raise Interrupted(f"Saved at step {done.step}; the same command goes on from there.", signal)
                if done.finished:
                    break
        return done.best_wer

    def _accumulate(self, step: Step, batches: Iterator[Batch], clock: Clock) -> float:
        """Adds up the gradient of this rank's shares, the last one's backward pass over the ranks; gives its part of
        the loss.
        """
        loss = 0.0
        for number in range(len(step.shares)):
            self.watchdog.reach(f"step {self.done.step}, waiting for data")
            clock.mark("compute")
            batch = next(batches)
            clock.mark("data_wait")
            self.watchdog.reach(f"step {self.done.step}, gradients and their exchange")
            torch.manual_seed(mix("dropout", self.config.seed, self.done.step, self.ranks.rank, number))
            last = number + 1 == len(step.shares)
            with nullcontext() if last else without_exchange(self.parallel), named_if_full(self.config):
                share_loss = self._loss(batch.to(self.hardware.device)) / step.labels
                # DistributedDataParallel divides the sum over the ranks by their number.
                torch.autograd.backward(share_loss * self.ranks.size)
            loss += float(share_loss.detach())
        return loss

    def _loss(self, batch: Batch) -> Tensor:
        """The CTC loss of a share, summed over its utterances."""
        config = self.config
        if len(batch.utterances) == 0:
            return self._no_loss()
        with torch.no_grad():
            features, lengths = self.front(batch.inputs, batch.lengths)
            keys, masks = self.train.keys[batch.utterances], config.augment.spec_augment
            features = spec_augment(features, lengths, keys, masks, config.features.hop_ms, config.seed, batch.epoch)
        loss: Tensor = self.parallel(features, lengths, batch.labels, batch.label_lengths)
        return loss

    def _no_loss(self) -> Tensor:
        """The loss of an empty share: every rank must take part in the exchange of gradients, with zeros if need be."""
        device, dim = self.hardware.device, self.front.extractor.dim
        silence = torch.zeros(1, 8, dim, device=device, dtype=self.hardware.dtype)
        frames, one = torch.tensor([8], device=device), torch.ones(1, dtype=torch.int64)
        loss: Tensor = self.parallel(silence, frames, one, one)
        return torch.zeros_like(loss) * loss

    def _settle_exchange(self) -> None:
        """Exchanges gradients of zeros once before the first step.

        DistributedDataParallel groups the gradients anew after the first exchange, and so adds them in another order:
        the first step of a resumed training would differ in the last bits from that of one never interrupted.
        """
        if self.ranks.size > 1:
            torch.autograd.backward(self._no_loss())
            self.optimizer.zero_grad()

    def _try_memory(self) -> None:
        """Tries the largest batches of this epoch, without any exchange between ranks."""
        self.watchdog.reach("trying the largest batches")

        def loss(batch: Batch) -> Tensor:
            return self._loss(batch.to(self.hardware.device))

        with without_exchange(self.parallel):
            largest = self.steps.largest(self.done.epoch)
            reserved = 0 if self.optimizer.state else 2
            try_batches(largest, loss, self.model, self.train, self.labels, self.config, self.ranks, reserved)

    def _agree(self, loss: float, due: bool, signal: int) -> tuple[float, int, bool, int]:
        """The loss and the labels that were lost, summed over the ranks, and what any of them was told to do.

        Raises:
            RunError: A checkpoint cannot be written.
        """
        self.watchdog.reach(f"step {self.done.step}, waiting for the other ranks")
        told = [loss, self.lost.labels, due, self.writer.failed, *(signal == number for number in SIGNALS)]
        device = self.hardware.device
        total_loss, lost_labels, any_due, failed, *heard = self.ranks.sum(
            torch.tensor(told, dtype=torch.float64, device=device)
        ).tolist()
        if failed:
            self.ranks.only_first(self.writer.wait)
        # Of several the last, since a job that Slurm warned is to be requeued.
        heard_signals = [int(number) for number, count in zip(SIGNALS, heard, strict=True) if count]
        return float(total_loss), int(lost_labels), bool(any_due), heard_signals[-1] if heard_signals else 0

    def _set_learning_rate(self, step: Step) -> float:
        progress = (step.epoch + step.position / step.epoch_steps) / self.config.training.epochs
        return set_learning_rate(self.optimizer, self.config.optimizer, self.config.schedule, progress)

    def _skip(self, step: Step) -> None:
        """Passes over a step whose loss or gradient is not finite, on all ranks alike."""
        self.done.skipped_steps += 1
        ids = ", ".join(self.train.utterances[number].id for number in step.utterances)
        log.warning("Step %d is skipped: its loss or gradient is not finite. Utterances: %s", self.done.step, ids)
        if self.done.skipped_steps > self.config.training.max_skipped_steps:
            raise RunError(
                f"{self.done.skipped_steps} steps were not finite, more than training.max_skipped_steps: "
                "lower optimizer.learning_rate, or look at the utterances named in train.log."
            )

    def _validate(self, tracker: Tracker, step: Step, progress: Progress) -> None:
        """Decodes the dev split with the averaged weights and keeps the model if it is the best."""
        done, early = self.done, self.config.training.early_stopping_epochs
        self.watchdog.reach(f"step {done.step}, decoding dev")
        began, model = time.perf_counter(), self.averaged.module
        decoded = decode_dev(self.config, self.dev, self.front, model, self.tokenizer, self.ranks, self.lost)
        self.lost.settle(done, "Decoding dev")
        metrics = dev_metrics(decoded)
        wer, seconds = metrics["dev/wer"], {"time/validation_seconds": time.perf_counter() - began}
        progress.say(f"Epoch {done.epoch}: dev WER {100 * wer:.2f} %, CER {100 * metrics['dev/cer']:.2f} %")
        tracker.panel(panel_row(done.step, done.epoch, choose_panel(decoded, self.config.tracker.panel_utterances)))
        self._log(tracker, step, metrics | seconds | self.hardware.memory())
        if done.validated(wer, self.config.training.with_dev):
            self.ranks.only_first(lambda: save_model(self.folder.model, model, self.config, self.tokenizer))
        stopped = early is not None and done.epoch - done.improved_epoch >= early
        if stopped:
            progress.say(f"No better dev WER for {early} epochs: the training stops early.")
        done.finished = stopped or done.epoch == self.config.training.epochs

    def _save(self) -> None:
        self.watchdog.reach(f"step {self.done.step}, saving")
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progression": asdict(self.done),
            "ranks": self.ranks.size,
        }
        self.ranks.only_first(lambda: self.writer.save(self.done.step, state))

    def _log(self, tracker: Tracker, step: Step, metrics: dict[str, float]) -> None:
        epoch = step.epoch + (step.position + 1) / step.epoch_steps
        tracker.log(self.done.step, epoch, self.done.seconds, metrics)

    def _progress(self) -> Progress:
        """A bar over all steps; their number in later epochs is taken to be that of the first."""
        first = next(self.steps.start(0, 0, 1))
        return Progress("Training", first.epoch_steps * self.config.training.epochs, "steps", self.done.step)
