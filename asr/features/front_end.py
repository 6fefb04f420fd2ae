"""The front end of a model: loaded inputs to normalized features."""

import torch
from torch import Tensor, nn

from asr.features.extractor import FeatureExtractor
from asr.features.normalizer import Normalizer


class FrontEnd(nn.Module):
    """Normalizes features, and computes them first where it is given waveforms.

    Args:
        dtype: The type of the weights behind it; features themselves are always computed in float32.
    """

    def __init__(self, extractor: FeatureExtractor, normalizer: Normalizer, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.extractor, self.normalizer, self.dtype = extractor, normalizer, dtype

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalizes.

        Args:
            inputs: Features (batch, frames, dim) or waveforms (batch, samples).
            lengths: Frames or samples of each utterance, int64 (batch,).

        Returns:
            (batch, frames, dim), zero past each end, and the frames of each utterance, int64 (batch,).
        """
        if inputs.ndim == 2:
            inputs, lengths = self.extractor(inputs, lengths)
        return self.normalizer(inputs.to(self.dtype), lengths), lengths
