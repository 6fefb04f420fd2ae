"""The loss of what a rank takes at once: features, SpecAugment, the model."""

import torch
from torch import Tensor, nn

from asr.config import Config
from asr.data.loader import Batch
from asr.features.augment import spec_augment
from asr.features.front_end import FrontEnd
from asr.features.inputs import Inputs
from asr.training.hardware import Hardware


class ShareLoss:
    """The CTC loss of shares of the plan. Nothing in it reads the device.

    Args:
        train: The training utterances.
        front: Loaded inputs to normalized features.
        objective: Features to the loss, which may exchange gradients with the other ranks.
    """

    def __init__(
        self, config: Config, train: Inputs, front: FrontEnd, objective: nn.Module, hardware: Hardware
    ) -> None:
        self.config, self.train, self.front, self.objective, self.hardware = config, train, front, objective, hardware

    def __call__(self, batch: Batch) -> Tensor:
        """The loss of a share, summed over its utterances, float64 ().

        Args:
            batch: With its inputs on the device and its lengths in main memory, as `Batch.to` gives it.
        """
        config = self.config
        if len(batch.utterances) == 0:
            return self.zero()
        with torch.no_grad(), self.hardware.in_float32():
            lengths = batch.lengths.to(self.hardware.device, non_blocking=True)
            features, lengths = self.front(batch.inputs, lengths)
            keys, masks = self.train.keys[batch.utterances], config.augment.spec_augment
            features = spec_augment(features, lengths, keys, masks, config.features.hop_ms, config.seed, batch.epoch)
            # Counted once more in main memory: to read those of the device would be to wait for it.
            frames = batch.lengths if batch.inputs.ndim == 3 else self.front.extractor.frames(batch.lengths)
        loss: Tensor = self.objective(features, frames, batch.labels, batch.label_lengths)
        return loss

    def zero(self) -> Tensor:
        """The loss of an empty share: every rank must take part in the exchange of gradients, with zeros if need be."""
        device, dim = self.hardware.device, self.front.extractor.dim
        silence = torch.zeros(1, 8, dim, device=device, dtype=self.hardware.dtype)
        one = torch.ones(1, dtype=torch.int64)
        loss: Tensor = self.objective(silence, torch.tensor([8]), one, one)
        return torch.zeros_like(loss) * loss
