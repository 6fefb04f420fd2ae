"""What every recognizer does with a batch of waveforms, be it one model or an ensemble of several."""

from abc import ABC, abstractmethod

from torch import Tensor

from asr.decoding.decoder import Decoder
from asr.settings.root import Config
from asr.text.protocol import Tokenizer


class BatchRecognizer(ABC):
    """Recognizes batches of waveforms."""

    config: Config
    """Of the (first) model."""
    tokenizer: Tokenizer
    decode: Decoder

    @abstractmethod
    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens; those of an utterance depend neither on its batch nor on its padding.

        Args:
            waveforms: float32 in [-1, 1] at the model's sampling rate, (batch, samples).
            lengths: Samples of each utterance, int64 (batch,).

        Returns:
            (frames, batch, tokens) and the frames of each utterance, int64 (batch,); what stands past an utterance's
            end has no meaning.
        """
