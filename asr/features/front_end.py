"""The front end of a model: waveforms or stored features to normalized features."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from asr.common.errors import DataError
from asr.features.extractor import FeatureExtractor
from asr.settings.features import Normalization

SMALLEST_VARIANCE = 1e-6
"""A feature that varies less is constant up to rounding, and becomes 0 rather than noise."""


class Normalizer(nn.Module):
    """Normalizes padded features; the result for an utterance does not depend on its batch.

    For `corpus` the statistics are part of the state dict; until they are fitted or loaded, they and all normalized
    features are NaN.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: Normalization, dim: int) -> None:
        super().__init__()
        self.kind = kind
        if kind is Normalization.corpus:
            self.register_buffer("mean", torch.full((dim,), torch.nan))
            self.register_buffer("std", torch.full((dim,), torch.nan))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Normalizes valid frames of features (batch, frames, dim) and sets the others to 0; lengths are in frames."""
        padding = (torch.arange(features.shape[1], device=lengths.device) >= lengths[:, None])[:, :, None]
        if self.kind is Normalization.corpus:
            features = (features - self.mean) / self.std
        if self.kind is Normalization.utterance:
            count = lengths.clamp_min(1)[:, None, None]
            mean = features.masked_fill(padding, 0.0).sum(dim=1, keepdim=True) / count
            features = (features - mean).masked_fill(padding, 0.0)
            variance = features.square().sum(dim=1, keepdim=True) / count
            return features * variance.clamp_min(SMALLEST_VARIANCE).rsqrt()
        return features.masked_fill(padding, 0.0)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Computes mean and variance of the training split in float64: the same batches always give the same bits.

        The batches are features at speed 1.0, each of shape (frames, dim).

        Raises:
            DataError: There is no frame.
        """
        assert self.kind is Normalization.corpus, "only corpus normalization is fitted"
        count = 0
        mean = squares = torch.zeros(len(self.mean), dtype=torch.float64)
        for batch in batches:
            if len(batch) == 0:
                continue
            frames = batch.detach().to("cpu", torch.float64)
            total = count + len(frames)
            distance = frames.mean(dim=0) - mean
            # Means and squared deviations merge stably, sums of squares do not (Chan, Golub & LeVeque, 1983).
            squares = squares + frames.var(dim=0, correction=0) * len(frames)
            squares = squares + distance.square() * (count * len(frames) / total)
            mean = mean + distance * (len(frames) / total)
            count = total
        if count == 0:
            raise DataError(
                "The training split has no frames to compute feature statistics from: prepare the corpus again."
            )
        self.mean.copy_(mean)
        self.std.copy_((squares / count).clamp_min(SMALLEST_VARIANCE).sqrt())


class FrontEnd(nn.Module):
    """Normalizes features, after computing them if the input is waveforms."""

    def __init__(self, extractor: FeatureExtractor, normalizer: Normalizer, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        # dtype is that of the model's weights; features themselves are always computed in float32.
        self.extractor, self.normalizer, self.dtype = extractor, normalizer, dtype

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Computes normalized features.

        Args:
            inputs: Features (batch, frames, dim) or waveforms (batch, samples).
            lengths: Frames or samples of each utterance, int64 (batch,).

        Returns:
            (batch, frames, dim), zero past each end, and the frames of each utterance, int64 (batch,).
        """
        if inputs.ndim == 2:
            inputs, lengths = self.extractor(inputs, lengths)
        return self.normalizer(inputs.to(self.dtype), lengths), lengths
