"""The convolutions of the acoustic model: those that shorten the sequence of frames, and the lookahead."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.common.errors import ConfigError
from asr.model.kernel.product import RoundedLinear
from asr.model.recurrent import inside

SUBSAMPLINGS = (2, 4)
REACH = 4
"""Past feature frames that an output depends on, rounded up to whole outputs."""
AHEAD = 3
"""Feature frames after its own that an output depends on."""


def output_length(frames: int, subsampling: int) -> int:
    """Output frames for a number of input frames."""
    return -(-frames // subsampling)


class Waiting(NamedTuple):
    """What a stream keeps for its next outputs."""

    features: Tensor
    """The newest feature frames, (batch, frames, dim)."""
    given: int
    """How many of the outputs of these frames were already returned."""


class ConvolutionalSubsampling(nn.Module):
    """Two 3 x 3 convolutions over time and features, 4x shorter in features and 2x or 4x shorter in time.

    Frames past an utterance's end are zeroed before each convolution, as if the utterance were alone, so that no output
    depends on the padding.

    Args:
        dim: Features in a frame.
        channels: Channels of both convolutions.
        output_dim: Output features.
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
        """Shortens a padded batch (batch, frames, dim) with the frames of each utterance, int64 (batch,).

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
        """Shortens as far as the frames allow: an output depends on AHEAD frames after its own.

        Args:
            features: The next frames, (batch, frames, dim).
            waiting: What the previous call returned; None before the first.
            final: Whether the utterance ends here.

        Returns:
            (output frames, batch, output_dim) and what now waits.
        """
        given = 0
        if waiting is not None:
            features, given = torch.cat([waiting.features, features], dim=1), waiting.given
        batch, frames, _ = features.shape
        known = output_length(frames if final else max(frames - AHEAD, 0), self.subsampling)
        if known <= given:
            return features.new_zeros(0, batch, self.projection.out_features), Waiting(features, given)
        outputs, _ = self(features, torch.full((batch,), frames, device=features.device))
        # Except at the start of the utterance, the first outputs of the kept frames would lack their past.
        kept = min(known, REACH // self.subsampling)
        start = (known - kept) * self.subsampling
        return outputs[given:known], Waiting(features[:, start:], kept)


def mask_frames(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Zeroes (batch, channels, frames, features) past each utterance's end."""
    lengths = lengths.to(hidden.device, non_blocking=True)
    within = torch.arange(hidden.shape[2], device=hidden.device) < lengths.unsqueeze(1)
    return hidden * within[:, None, :, None]


class LookaheadConvolution(nn.Module):
    """Each feature of a frame becomes a weighted sum of itself in this frame and in the next ones.

    It gives layers that read in one direction a glimpse of the future. At first it passes on what comes in. Frames past
    an utterance's end count as zeros. Wang et al., "Lookahead convolution layer for unidirectional recurrent neural
    networks", 2016; Deep Speech 2 calls it row convolution.

    Args:
        width: Features of a frame.
        lookahead: How many frames of the future are read.
    """

    def __init__(self, width: int, lookahead: int) -> None:
        super().__init__()
        self.lookahead = lookahead
        self.weight = nn.Parameter(functional.pad(torch.ones(width, 1), (0, lookahead)))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Convolves whole utterances, (frames, batch, width) with the frames of each, int64 (batch,).

        What stands past an utterance's end is not read, and has no meaning in what is returned.
        """
        return self._convolve(self._ended(hidden * inside(lengths, hidden)))

    def stream(self, hidden: Tensor, waiting: Tensor | None, final: bool) -> tuple[Tensor, Tensor]:
        """Convolves as far as the frames allow.

        Args:
            hidden: The next frames, (frames, batch, width).
            waiting: The frames that still lack future context; None before the first.
            final: Whether the utterance ends here.

        Returns:
            (frames, batch, width) and the frames that now wait.
        """
        hidden = hidden if waiting is None else torch.cat([waiting, hidden])
        known = self._ended(hidden) if final else hidden
        ready = max(len(known) - self.lookahead, 0)
        return self._convolve(known) if ready else hidden[:0], hidden[ready:]

    def _ended(self, hidden: Tensor) -> Tensor:
        return functional.pad(hidden, (0, 0, 0, 0, 0, self.lookahead))

    def _convolve(self, hidden: Tensor) -> Tensor:
        # (frames, batch, width) -> (batch, width, frames), each feature a channel of its own
        convolved = functional.conv1d(hidden.permute(1, 2, 0), self.weight.unsqueeze(1), groups=len(self.weight))
        return convolved.permute(2, 0, 1)
