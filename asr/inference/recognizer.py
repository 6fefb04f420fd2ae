"""A trained model that hears: waveforms in, log-probabilities or hypotheses out."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from asr.common.errors import DataError
from asr.decoding.decoder import greedy_decoder
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import FrontEnd
from asr.inference.recognition import BatchRecognizer
from asr.inference.streaming import Stream
from asr.inference.transcription import BATCH_SECONDS, Transcriber
from asr.model.acoustic import AcousticModel
from asr.model.folder import find_model, load_model
from asr.settings.root import Config
from asr.text.protocol import Tokenizer

log = logging.getLogger(__name__)


class Recognizer(BatchRecognizer):
    """A model with its features and tokenizer, in float32; it decodes greedily unless `decode` is replaced.

    Args:
        device: Where it computes.
    """

    def __init__(self, model: AcousticModel, config: Config, tokenizer: Tokenizer, device: torch.device) -> None:
        self.config, self.tokenizer, self.device = config, tokenizer, device
        self.model = model.to(device)
        extractor = FeatureExtractor(config.features, config.data.sampling_rate)
        self.front = FrontEnd(extractor, self.model.normalizer).to(device)
        self.decode = greedy_decoder(tokenizer)

    @torch.inference_mode()
    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `BatchRecognizer.log_probs`."""
        log_probs, frames = self.model(*self.front(waveforms.to(self.device), lengths.to(self.device)))
        return log_probs, frames

    def transcribe(self, files: Sequence[str | Path], batch_seconds: float = BATCH_SECONDS) -> list[str]:
        """Hypotheses of recordings of any format, rate and length, in their order.

        Other rates and channels than the model's are converted, and the log says so; what is longer than 22 s is cut
        at pauses.

        Args:
            files: Paths.
            batch_seconds: Of audio that is heard at once.

        Raises:
            DataError: A file cannot be read.
        """
        texts = []
        for transcript in Transcriber(self, batch_seconds=batch_seconds)(map(Path, files)):
            if isinstance(transcript, DataError):
                raise transcript
            if transcript.note is not None:
                log.info("%s.", transcript.note)
            texts.append(transcript.text)
        return texts

    def stream(self) -> Stream:
        """Begins an utterance that is heard piece by piece.

        Raises:
            ConfigError: The model needs the whole utterance: it is bidirectional, or normalizes over the utterance.
        """
        return Stream(self.model, self.config, self.front, self.decode)


def load(folder: str | Path, device: str = "cpu") -> Recognizer:
    """Loads a model folder, or that of a run.

    Args:
        folder: As training leaves it in `runs/RECIPE/RUN/model`, or `runs/RECIPE/RUN`.
        device: Where it computes, as torch names it.

    Raises:
        RunError: A file is missing or damaged.
    """
    return Recognizer(*load_model(find_model(Path(folder)) or Path(folder)), torch.device(device))
