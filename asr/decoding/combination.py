"""Several models that hear together: their log-probabilities are averaged frame by frame."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asr.decoding.recognizer import Recognizer
from asr.errors import ConfigError


class Combination:
    """Recognizers as one; each has its own features. The tokens must be the same, and so must the frames.

    Args:
        recognizers: One or more.

    Raises:
        ConfigError: They hear at different rates, or write different tokens or frames of different length.
    """

    def __init__(self, recognizers: Sequence[Recognizer]) -> None:
        self.recognizers = recognizers
        first = recognizers[0]
        for other in recognizers[1:]:
            for what, here, there in (
                ("tokens", tuple(first.tokenizer.symbols), tuple(other.tokenizer.symbols)),
                ("data.sampling_rate", first.config.data.sampling_rate, other.config.data.sampling_rate),
                ("features.hop_ms", first.config.features.hop_ms, other.config.features.hop_ms),
                ("features.window_ms", first.config.features.window_ms, other.config.features.window_ms),
                ("model.subsampling", first.config.model.subsampling, other.config.model.subsampling),
            ):
                if here != there:
                    raise ConfigError(
                        f"A model of evaluation.models has other {what} than the run: models can be combined only "
                        "where their frames and tokens are the same."
                    )

    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """As `asr.decoding.recognizer.Recognizer.log_probs`; the mean of the models', scaled to probabilities."""
        if len(self.recognizers) == 1:
            return self.recognizers[0].log_probs(waveforms, lengths)
        heard = [recognizer.log_probs(waveforms, lengths) for recognizer in self.recognizers]
        return average([log_probs for log_probs, _ in heard]), heard[0][1]


def average(log_probs: Sequence[Tensor]) -> Tensor:
    """The mean of log-probabilities (..., tokens), scaled so that the probabilities of a frame sum to one."""
    return torch.stack(list(log_probs)).mean(dim=0).log_softmax(dim=-1)
