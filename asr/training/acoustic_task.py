"""The training of an acoustic model: CTC on augmented features, judged by the error rate on dev."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.batching.dataset import Dataset
from asr.batching.loader import Batch, labels_of_all
from asr.common.seeds import Draws, key_of
from asr.data.utterance import Utterance
from asr.features.augment import spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import FrontEnd
from asr.inference.evaluation import Decoded, decode_utterances, read_batches
from asr.inference.recognizer import Recognizer
from asr.model.acoustic import AcousticModel
from asr.model.card import write_card
from asr.model.folder import save_model
from asr.scoring.error_rates import UtteranceScore, phone_error_rate, total
from asr.scoring.error_unit import error_unit
from asr.scoring.results import error_figures
from asr.settings.root import Config
from asr.settings.training import TrainingConfig
from asr.text.protocol import BLANK, Tokenizer
from asr.training.distributed import Ranks
from asr.training.hardware import Hardware
from asr.training.task import Validation, audio_unit
from asr.training.train_state import UnreadableUtterances


class Objective(nn.Module):
    """The CTC loss of a model, as one module: DistributedDataParallel must see every head in a single forward pass.

    Where the model has an intermediate head, its loss has the weight `training.intermediate_weight` (Lee & Watanabe,
    "Intermediate loss regularization for CTC-based speech recognition", 2021).
    """

    def __init__(self, model: AcousticModel, config: TrainingConfig, hardware: Hardware) -> None:
        super().__init__()
        self.model, self.config, self.hardware = model, config, hardware

    def forward(self, features: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        """The loss, summed over utterances, in float64.

        Args:
            features: Normalized, (batch, frames, dim).
            lengths: Frames of each utterance, int64 (batch,), in main memory, where cuDNN and CTC need them.
            labels: Of all utterances one after the other, int64 (labels,).
            label_lengths: Labels of each utterance, int64 (batch,), in main memory.
        """
        with self.hardware.autocast():
            heads, lengths = self.model.all_heads(features, lengths)
        losses = []
        for log_probs in heads:
            if self.config.deterministic:
                log_probs = log_probs.cpu()  # CUDA's CTC adds in any order
            loss = self.loss_of(log_probs, lengths, labels.to(log_probs.device, non_blocking=True), label_lengths)
            losses.append(loss.to(features.device))  # GradScaler keeps its scale on the device of the first loss
        if len(losses) == 1:
            return losses[0]
        last, intermediate = losses
        return torch.lerp(last, intermediate, self.config.intermediate_weight)

    def loss_of(self, log_probs: Tensor, lengths: Tensor, labels: Tensor, label_lengths: Tensor) -> Tensor:
        """The loss of one head; log-probabilities are (frames, batch, tokens), all else as of `forward`."""
        # In float64: the forward variables reach -1000 and beyond, where float32 has only four decimals.
        return functional.ctc_loss(log_probs.double(), labels, lengths, label_lengths, blank=BLANK, reduction="sum")


BOOTSTRAP_SAMPLES = 1000
"""Enough for a curve; `asr evaluate` draws more."""


def dev_metrics(decoded: Sequence[Decoded], tokenizer: Tokenizer) -> dict[str, float]:
    """What is logged of the dev split after an epoch; rates and shares are fractions.

    The loss is that of the transcripts that fit, in nats per token; dev/per is there where tokens are phones.
    """
    scores = [one.score for one in decoded]
    fitting = [one for one in decoded if one.score.ctc_loss_per_token is not None]
    tokens = sum(one.measures.labels for one in fitting)
    loss = {"dev/loss": sum(one.measures.ctc_loss or 0.0 for one in fitting) / tokens} if tokens else {}
    phones = phone_error_rate(tokenizer, scores)
    frames = sum(one.measures.frames for one in decoded)
    return (
        {f"dev/{name}": figure for name, figure in error_figures(scores, BOOTSTRAP_SAMPLES).items()}
        | {
            "dev/blank_share": sum(one.measures.blank_frames for one in decoded) / frames,
            "dev/empty_share": sum(not one.score.hypothesis for one in decoded) / len(decoded),
        }
        | loss
        | ({} if phones is None else {"dev/per": phones})
    )


def choose_panel(decoded: Sequence[Decoded], count: int) -> list[UtteranceScore]:
    """A few utterances, drawn by their ids: the same after every epoch and in every run on the same dev split."""
    drawn = sorted((one.score for one in decoded), key=lambda score: key_of(score.id))[:count]
    return sorted(drawn, key=lambda score: score.id)


log = logging.getLogger(__name__)


def compile_front(model: AcousticModel, dim: int, hardware: Hardware) -> bool:
    """Compiles the convolutions of a model in place, for batches of any size; says whether that worked.

    The recurrent layers have kernels of their own, which a compiler cannot optimize. PyTorch compiles at the first
    call, so a short batch is run forward and backward; where that fails the model stays as it is.

    Args:
        dim: Features in a frame.
    """
    front, began = model.subsampling, time.monotonic()
    front.compile(dynamic=True)
    try:
        features = torch.zeros(2, 64, dim, device=hardware.device, dtype=hardware.dtype)
        with hardware.autocast():
            outputs, _ = front(features, torch.full((2,), 64))
        torch.autograd.backward(outputs.float().sum())
    except Exception as error:  # compilers and drivers raise anything
        front._compiled_call_impl = None
        cause = getattr(error, "inner_exception", error)  # PyTorch wraps the errors of compilers
        reason = str(cause).strip().splitlines() or [type(cause).__name__]
        log.warning("hardware.compile=true, but no compiler works here; going on without (%s).", reason[0])
        return False
    finally:
        model.zero_grad()
    log.info("The convolutions are compiled, which took %.0f s.", time.monotonic() - began)
    return True


class AcousticTask:
    """See `asr.training.task.Task`."""

    objective_of: type[Objective] = Objective

    def __init__(
        self,
        config: Config,
        train: Dataset,
        dev: Dataset,
        tokenizer: Tokenizer,
        model: AcousticModel,
        hardware: Hardware,
    ) -> None:
        self.config, self.train, self.dev, self.tokenizer, self.hardware = config, train, dev, tokenizer, hardware
        self.error_unit = error_unit(config, dev.utterances)
        self.unit = audio_unit(self.error_unit)
        self.model = model.to(hardware.device, hardware.dtype)
        extractor = FeatureExtractor(config.features, config.data.sampling_rate).to(hardware.device)
        if config.hardware.compile:
            compile_front(self.model, extractor.dim, hardware)
        self.objective = self.objective_of(self.model, config.training, hardware)
        self.front = FrontEnd(extractor, self.model.normalizer, hardware.dtype)
        self.labels = self.labels_of(train.utterances)

    def labels_of(self, utterances: Sequence[Utterance]) -> Sequence[Sequence[int]]:
        """The labels of each utterance."""
        return labels_of_all(self.tokenizer, utterances)

    def loss(self, objective: nn.Module, batch: Batch) -> Tensor:
        config = self.config
        with torch.no_grad(), self.hardware.in_float32():
            lengths = batch.lengths.to(self.hardware.device, non_blocking=True)
            features, lengths = self.front(batch.inputs, lengths)
            draws = Draws(self.train.keys[batch.utterances], config.seed, batch.epoch)
            features = spec_augment(features, lengths, draws, config.augment.spec_augment, config.features.hop_ms)
            # Computed again in main memory: to read those of the device would be to wait for it.
            frames = batch.lengths if batch.inputs.ndim == 3 else self.front.extractor.frames(batch.lengths)
        loss: Tensor = objective(features, frames, batch.labels, batch.label_lengths)
        return loss

    def no_loss(self, objective: nn.Module) -> Tensor:
        device, dim = self.hardware.device, self.front.extractor.dim
        silence = torch.zeros(1, 8, dim, device=device, dtype=self.hardware.dtype)
        one = torch.ones(1, dtype=torch.int64)
        loss: Tensor = objective(silence, torch.tensor([8]), one, one)
        return torch.zeros_like(loss) * loss

    def decode_dev(self, model: AcousticModel, ranks: Ranks, unreadable: UnreadableUtterances) -> list[Decoded]:
        """Decodes every dev utterance once over all ranks; all of them get all, in the order of the manifest.

        Args:
            unreadable: Collects those that cannot be read any more, which are left out.
        """
        # Greedy whatever decoder=... is: that is not part of a run's identity, and this chooses the best model.
        recognizer = Recognizer(model, self.config, self.tokenizer, self.hardware.device, self.front)
        batches = unreadable.watch(read_batches(self.dev, self.config, ranks.rank, ranks.size, tolerant=True))
        with self.hardware.in_float32():
            decoded = ranks.gather(decode_utterances(recognizer, self.dev.utterances, batches, unit=self.error_unit))
        return sorted(decoded, key=lambda one: one.number)

    def validate(self, model: AcousticModel, ranks: Ranks, unreadable: UnreadableUtterances) -> Validation | None:
        decoded = self.decode_dev(model, ranks, unreadable)
        if not decoded:
            return None
        score, unit = total(one.score for one in decoded), self.error_unit
        return Validation(
            score=score.rate,
            metrics=dev_metrics(decoded, self.tokenizer),
            sentence=f"dev {unit.label} {100 * score.rate:.2f} %, "
            f"{unit.other.label} {100 * score.rate_in(unit.other):.2f} %",
            panel=choose_panel(decoded, self.config.tracker.panel_utterances),
        )

    def save(self, folder: Path, model: AcousticModel) -> None:
        save_model(folder, model, self.config, self.tokenizer)
        write_card(folder.parent, self.config, evaluated=False)
