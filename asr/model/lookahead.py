"""The lookahead convolution: a glimpse of the future for layers that read in one direction.

Wang et al., "Lookahead convolution layer for unidirectional recurrent neural networks", 2016; Deep Speech 2 calls it
row convolution.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from asr.model.recurrent import inside


class LookaheadConvolution(nn.Module):
    """Each feature of a frame becomes a weighted sum of itself in this frame and in the next ones.

    At first it passes on what comes in. Frames past an utterance's end count as zeros.

    Args:
        width: Features of a frame.
        lookahead: How many frames of the future are read.
    """

    def __init__(self, width: int, lookahead: int) -> None:
        super().__init__()
        self.lookahead = lookahead
        self.weight = nn.Parameter(functional.pad(torch.ones(width, 1), (0, lookahead)))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Convolves whole utterances.

        Args:
            hidden: (frames, batch, width), anything past each utterance's end.
            lengths: Frames of each utterance, int64 (batch,).

        Returns:
            (frames, batch, width); what stands past an utterance's end has no meaning.
        """
        return self._convolve(self._ended(hidden * inside(lengths, hidden)))

    def stream(self, hidden: Tensor, waiting: Tensor | None, final: bool) -> tuple[Tensor, Tensor]:
        """Convolves as far as the frames reach.

        Args:
            hidden: The next frames, (frames, batch, width).
            waiting: The frames that still lack some of their future; None before the first.
            final: Whether the utterance ends here.

        Returns:
            (frames, batch, width) and the frames that wait now.
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
