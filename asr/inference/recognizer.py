"""A trained model as a recognizer: waveforms in, log-probabilities or hypotheses out."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from asr.common.errors import ConfigError, DataError
from asr.decoding.decoder import Decoder, GreedyDecoder
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import FrontEnd
from asr.inference.recognition import BatchRecognizer
from asr.inference.speech_detector import ModelDetector
from asr.inference.streaming import Stream
from asr.inference.transcription import BATCH_SECONDS, Transcriber
from asr.model.acoustic import AcousticModel, count_parameters
from asr.model.folder import find_model, load_model
from asr.settings.root import Config
from asr.text.protocol import Tokenizer

log = logging.getLogger(__name__)


class Recognizer(BatchRecognizer):
    """A model with its features and tokenizer; it decodes greedily unless `decoder` is replaced.

    Args:
        device: Where it is computed.
        front: Makes features of what the model is fed, in the model's precision; None makes them in float32.
    """

    def __init__(
        self,
        model: AcousticModel,
        config: Config,
        tokenizer: Tokenizer,
        device: torch.device,
        front: FrontEnd | None = None,
    ) -> None:
        self.config, self.tokenizer, self.device = config, tokenizer, device
        self.model = model.to(device)
        if front is None:
            front = FrontEnd(FeatureExtractor(config.features, config.data.sampling_rate), self.model.normalizer)
        self.front = front.to(device)
        self.decoder: Decoder = GreedyDecoder(tokenizer)

    @property
    def parameters(self) -> int:
        """Trainable numbers of the model."""
        return count_parameters(self.model)

    @torch.inference_mode()
    def log_probs(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `BatchRecognizer.log_probs`; with a `front` for it, features (batch, frames, dim) too."""
        log_probs, frames = self.model(*self.front(waveforms.to(self.device), lengths.to(self.device)))
        return log_probs, frames

    def transcribe(
        self, files: Sequence[str | Path], batch_seconds: float = BATCH_SECONDS, vad: BatchRecognizer | None = None
    ) -> list[str]:
        """Hypotheses of recordings of any format, rate and length, in their order.

        Other sampling rates and channels than the model's are converted, and the log says so; recordings of more than
        22 s are cut at pauses.

        Args:
            files: Paths.
            batch_seconds: Padded audio in a batch (s).
            vad: A model that was trained with tokenizer=speech: recordings are cut by the speech that it finds.

        Raises:
            DataError: A file cannot be read.
            ConfigError: One of the models is no recognizer, or no such model.
        """
        texts = []
        detector = None if vad is None else ModelDetector(vad, self.config.data.sampling_rate)
        for transcript in Transcriber(self, batch_seconds=batch_seconds, detector=detector)(map(Path, files)):
            if isinstance(transcript, DataError):
                raise transcript
            if transcript.note is not None:
                log.info("%s.", transcript.note)
            texts.append(transcript.text)
        return texts

    def stream(self) -> Stream:
        """Begins an utterance that arrives in chunks.

        Raises:
            ConfigError: The model needs the whole utterance: it is bidirectional, or normalizes over the utterance.
        """
        return Stream(self.model, self.config, self.front, self.decoder)


def load(folder: str | Path, device: str = "cpu") -> Recognizer:
    """Loads a model folder, or that of a run.

    Args:
        folder: As training leaves it in `runs/RECIPE/RUN/model`, or `runs/RECIPE/RUN`; or a model on the Hugging Face
            hub, as `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION`.
        device: Where it computes, as torch names it.

    Raises:
        RunError: A file is missing or damaged, or cannot be downloaded.
        ConfigError: There is no such device.
    """
    return Recognizer(*load_model(find_model(Path(folder)) or Path(folder)), _device(device))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # the second of a PyTorch without CUDA
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise ConfigError(f"The device {name!r} cannot be used here ({reason}): use cpu, or cuda on a GPU.") from None
    if device.type == "meta":
        raise ConfigError(f"The device {name!r} computes nothing: use cpu, or cuda on a GPU.")
    return device
