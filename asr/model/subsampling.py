"""Convolutions that shorten the sequence of frames before the recurrent layers."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.common.errors import ConfigError
from asr.model.kernel.product import RoundedLinear

SUBSAMPLINGS = (2, 4)


def output_length(frames: int, subsampling: int) -> int:
    """Frames that come out for frames that go in."""
    return -(-frames // subsampling)


REACH = 4
"""Feature frames before an output's own that it may read, rounded up to whole outputs: ones before matter no more."""


class Waiting(NamedTuple):
    """What a stream keeps for the outputs to come."""

    features: Tensor
    """The newest feature frames, (batch, frames, dim)."""
    given: int
    """How many of the outputs of these frames were given already."""


class ConvolutionalSubsampling(nn.Module):
    """Two 3 x 3 convolutions over time and features, 4x shorter in features and 2x or 4x shorter in time.

    Frames past an utterance's end are zeroed before each convolution, as if the utterance stood alone, so that no
    output depends on the padding.

    Args:
        dim: Features in a frame.
        channels: Channels of both convolutions.
        output_dim: Features that come out.
        subsampling: 2 or 4.
    """

    def __init__(self, dim: int, channels: int, output_dim: int, subsampling: int) -> None:
        super().__init__()
        if subsampling not in SUBSAMPLINGS:
            raise ConfigError(f"model.subsampling is {subsampling}; it can be 2 or 4.")
        self.subsampling = subsampling
        self.first = nn.Conv2d(1, channels, kernel_size=3, stride=2, padding=1)
        self.second = nn.Conv2d(channels, channels, kernel_size=3, stride=(subsampling // 2, 2), padding=1)
        self.projection = RoundedLinear(channels * output_length(dim, 4), output_dim)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Shortens a padded batch.

        Args:
            features: (batch, frames, dim).
            lengths: Frames of each utterance, int64 (batch,).

        Returns:
            (output frames, batch, output_dim) and the output frames of each utterance.
        """
        hidden = mask_frames(features.unsqueeze(1), lengths)
        for convolution in (self.first, self.second):
            lengths = (lengths - 1) // convolution.stride[0] + 1
            hidden = mask_frames(functional.relu(convolution(hidden)), lengths)
        # (batch, channels, frames, features) -> (frames, batch, channels * features)
        return self.projection(hidden.permute(2, 0, 1, 3).flatten(2)), lengths

    def stream(self, features: Tensor, waiting: Waiting | None, final: bool) -> tuple[Tensor, Waiting]:
        """Shortens as far as the frames reach: an output reads three frames past its own.

        Args:
            features: The next frames, (batch, frames, dim).
            waiting: What the frames before left; None before the first.
            final: Whether the utterance ends here.

        Returns:
            (output frames, batch, output_dim) and what waits now.
        """
        given = 0
        if waiting is not None:
            features, given = torch.cat([waiting.features, features], dim=1), waiting.given
        batch, frames, _ = features.shape
        known = output_length(frames if final else max(frames - 3, 0), self.subsampling)
        if known <= given:
            return features.new_zeros(0, batch, self.projection.out_features), Waiting(features, given)
        outputs, _ = self(features, torch.full((batch,), frames, device=features.device))
        # Away from the start of the utterance, the first outputs of what is kept would lack their past.
        kept = min(known, REACH // self.subsampling)
        start = (known - kept) * self.subsampling
        return outputs[given:known], Waiting(features[:, start:], kept)


def mask_frames(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Zeroes (batch, channels, frames, features) past each utterance's end."""
    inside = torch.arange(hidden.shape[2], device=hidden.device) < lengths.to(
        hidden.device, non_blocking=True
    ).unsqueeze(1)
    return hidden * inside[:, None, :, None]
