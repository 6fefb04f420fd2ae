"""What every recognizer does with a batch of waveforms, be it one model or an ensemble of several."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from asr.decoding.decoder import Decoder
from asr.decoding.search import Hypothesis, Rescorer, Search
from asr.settings.root import Config
from asr.text.protocol import Tokenizer


@dataclass(frozen=True)
class Recognition:
    """A batch that was recognized."""

    log_probs: Tensor
    """Of the tokens, (frames, batch, tokens)."""
    lengths: Tensor
    """Frames of each utterance, int64 (batch,)."""
    hypotheses: list[list[Hypothesis]]
    """Of each utterance, the best first; at least one."""


class BatchRecognizer(ABC):
    """Recognizes batches of waveforms."""

    config: Config
    """Of the model; of an ensemble's first one."""
    tokenizer: Tokenizer
    decoder: Decoder

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Trainable numbers of all models together."""

    @property
    def search(self) -> Search | None:
        """The beam search that is made; None where none is."""
        return self.decoder.search

    @property
    def rescorer(self) -> Rescorer | None:
        """Rescores the hypotheses of the search; None where nothing does."""
        return self.decoder.rescorer

    @abstractmethod
    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens; those of an utterance depend neither on its batch nor on its padding.

        Args:
            waveforms: float32 in [-1, 1] at the model's sampling rate, (batch, samples).
            lengths: Samples of each utterance, int64 (batch,).

        Returns:
            (frames, batch, tokens) and the frames of each utterance, int64 (batch,); values past an utterance's end
            have no meaning.
        """

    def recognize(self, waveforms: Tensor, lengths: Tensor) -> Recognition:
        """Computes the log-probabilities of a batch and decodes them; arguments as of `log_probs`."""
        log_probs, frames = self.log_probs(waveforms, lengths)
        return Recognition(log_probs, frames, self.decoder.nbest(log_probs, frames))
