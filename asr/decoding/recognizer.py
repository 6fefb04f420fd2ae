"""A trained model that hears: waveforms in, log-probabilities or hypotheses out."""

from collections.abc import Sequence
from pathlib import Path

import soundfile
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.config import Config
from asr.decoding.decoder import greedy_decoder
from asr.decoding.stream import Stream
from asr.errors import DataError
from asr.features.extractor import FeatureExtractor, frame_count
from asr.features.front_end import FrontEnd
from asr.model.acoustic import AcousticModel
from asr.model.folder import load_model
from asr.text.protocol import Tokenizer


class Recognizer:
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
        """Log-probabilities of the tokens; those of an utterance depend neither on its batch nor on its padding.

        Args:
            waveforms: float32 in [-1, 1] at the model's sampling rate, (batch, samples).
            lengths: Samples of each utterance, int64 (batch,).

        Returns:
            (frames, batch, tokens) and the frames of each utterance, int64 (batch,); what stands past an utterance's
            end has no meaning.
        """
        log_probs, frames = self.model(*self.front(waveforms.to(self.device), lengths.to(self.device)))
        return log_probs, frames

    def transcribe(self, files: Sequence[str | Path], batch_size: int = 16) -> list[str]:
        """Hypotheses of audio files, in their order.

        Raises:
            DataError: A file cannot be read, has another sampling rate than the model or more than one channel.
        """
        hypotheses: list[str] = []
        for start in range(0, len(files), batch_size):
            waveforms = [self._read(Path(file)) for file in files[start : start + batch_size]]
            lengths = torch.tensor([len(waveform) for waveform in waveforms])
            hypotheses += self.decode(*self.log_probs(pad_sequence(waveforms, batch_first=True), lengths))
        return hypotheses

    def stream(self) -> Stream:
        """Begins an utterance that is heard piece by piece.

        Raises:
            ConfigError: The model needs the whole utterance: it is bidirectional, or normalizes over the utterance.
        """
        return Stream(self.model, self.config, self.front, self.decode)

    def _read(self, path: Path) -> Tensor:
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise DataError(f"{path}: the audio cannot be decoded ({error}).") from None
        wanted = self.config.data.sampling_rate
        if rate != wanted or samples.shape[1] != 1:
            raise DataError(
                f"{path} has {rate} Hz and {samples.shape[1]} channels; the model hears {wanted} Hz and one channel: "
                "convert the file."
            )
        if frame_count(self.config.features, rate, len(samples)) == 0:
            raise DataError(f"{path}: it is shorter than one window of features.window_ms; leave it out.")
        return torch.from_numpy(samples[:, 0].copy())


def load(folder: str | Path, device: str = "cpu") -> Recognizer:
    """Loads a model folder.

    Args:
        folder: As training leaves it in `runs/RECIPE/RUN/model`.
        device: Where it computes, as torch names it.

    Raises:
        RunError: A file is missing or damaged.
    """
    return Recognizer(*load_model(Path(folder)), torch.device(device))
