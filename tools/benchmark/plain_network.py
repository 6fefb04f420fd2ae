"""The acoustic model as one would write it with PyTorch alone: nn.LSTM, nn.GRU or nn.RNN over packed sequences.

So do deepspeech.pytorch and SpeechBrain. Its parameters have the names that `asr.model.acoustic.AcousticModel` gives
them, so both can be given the same weights and compared.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.settings.model import Cell

MODULES = {Cell.rnn: nn.RNN, Cell.lstm: nn.LSTM, Cell.gru: nn.GRU}


class PlainNetwork(nn.Module):
    """Two convolutions, a linear map, bidirectional layers with LayerNorm and dropout before each, and a CTC head.

    Args:
        cell: The cell of all layers.
        dim: Features in a frame.
        tokens: Tokens, the blank included.
        stride: Of the second convolution over time; the first has 2.
    """

    def __init__(
        self, cell: Cell, layers: int, hidden: int, channels: int, dim: int, tokens: int, dropout: float, stride: int
    ) -> None:
        super().__init__()
        width = 2 * hidden
        self.subsampling = nn.ModuleDict(
            {
                "first": nn.Conv2d(1, channels, 3, stride=2, padding=1),
                "second": nn.Conv2d(channels, channels, 3, stride=(stride, 2), padding=1),
                "projection": nn.Linear(channels * -(-dim // 4), width),
            }
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.layers = nn.ModuleList(
            nn.ModuleDict({"recurrent": MODULES[cell](width, hidden, bidirectional=True)}) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.head_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, tokens)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (output frames, batch, tokens) of (batch, frames, dim), and the lengths of both."""
        hidden = features.unsqueeze(1)
        for name in ("first", "second"):
            convolution = self.subsampling[name]
            lengths = (lengths - 1) // convolution.stride[0] + 1
            hidden = functional.relu(convolution(hidden))
            inside = torch.arange(hidden.shape[2]) < lengths[:, None]
            hidden = hidden.masked_fill(~inside[:, None, :, None], 0)
        hidden = self.subsampling["projection"](hidden.permute(2, 0, 1, 3).flatten(2))
        return self.head(self.dropout(self.head_norm(self.recurrent(hidden, lengths)))).log_softmax(2), lengths

    def recurrent(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """The recurrent layers over (frames, batch, width)."""
        for norm, layer in zip(self.norms, self.layers, strict=True):
            packed = pack_padded_sequence(self.dropout(norm(hidden)), lengths, enforce_sorted=False)
            hidden = pad_packed_sequence(layer["recurrent"](packed)[0], total_length=len(hidden))[0]
        return hidden
