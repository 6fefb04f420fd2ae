"""What a training minimizes."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.model.acoustic import AcousticModel
from asr.text.protocol import BLANK
from asr.training.config import TrainingConfig
from asr.training.hardware import Hardware


class Objective(nn.Module):
    """The CTC loss of a model, as one module: DistributedDataParallel must see every head in a single forward pass.

    Where the model has an intermediate head, its loss counts for the share `training.intermediate_weight` (Lee &
    Watanabe, "Intermediate loss regularization for CTC-based speech recognition", 2021).
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
            # In float64: the forward variables reach -1000 and beyond, where float32 has but four decimals.
            doubles, there = log_probs.double(), labels.to(log_probs.device, non_blocking=True)
            loss = functional.ctc_loss(doubles, there, lengths, label_lengths, blank=BLANK, reduction="sum")
            losses.append(loss.to(features.device))  # where the first loss is, there the loss scale is kept
        if len(losses) == 1:
            return losses[0]
        last, intermediate = losses
        return torch.lerp(last, intermediate, self.config.intermediate_weight)
