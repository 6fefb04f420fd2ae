"""Streaming: an utterance arrives in chunks, and its hypothesis so far can be read at any time."""

import warnings

import torch
from torch import Tensor

from asr.common.errors import ConfigError, RunError
from asr.decoding.decoder import Decoder
from asr.features.extractor import frame_count, hop_samples, lead_samples, settled_frames, window_samples
from asr.features.front_end import FrontEnd
from asr.model.acoustic import AcousticModel, StreamState
from asr.model.convolution import AHEAD
from asr.settings.features import Normalization
from asr.settings.root import Config

DELTAS_REACH = 4
"""Frames that second time differences read on both sides: two for each difference."""


def seconds_until(config: Config, frame: int) -> float:
    """How much of an utterance must have arrived before a stream has the log-probabilities of an output frame (s).

    At the end of the utterance, `Stream.finish` gives those of all frames.

    Args:
        config: Of a model of one direction.
        frame: Its number, from 0.
    """
    features, rate = config.features, config.data.sampling_rate
    last = (
        config.model.subsampling * (frame + config.model.lookahead) + AHEAD + (DELTAS_REACH if features.deltas else 0)
    )
    window = window_samples(features, rate) - lead_samples(features, rate)
    return (window + last * hop_samples(features, rate)) / rate


class Stream:
    """One utterance while it is spoken. Chunks of any size give what the whole utterance gives.

    The log-probabilities lag behind the audio by the window of the features, three feature frames for the convolutions
    (four more with deltas) and `model.lookahead` output frames.

    Args:
        model: A trained model of one direction.
        config: Of the model.
        front: Waveforms to normalized features.
        decoder: Log-probabilities to hypotheses.

    Raises:
        ConfigError: The model needs the whole utterance.
    """

    def __init__(self, model: AcousticModel, config: Config, front: FrontEnd, decoder: Decoder) -> None:
        if not config.model.bidirectional and config.features.normalization is Normalization.utterance:
            raise ConfigError(
                "This model has features.normalization=utterance, which is known at the utterance's end only, so it "
                "cannot recognize a stream: train one with features.normalization=corpus."
            )
        self._model, self._config, self._front, self._decoder = model, config, front, decoder
        self._samples = torch.zeros(0)
        self._given = 0
        """Frames of self._samples that the model has processed already."""
        self._state: StreamState | None = None
        self._log_probs: list[Tensor] = []
        self._finished = False
        self._advance(final=False)

    def accept(self, waveform: Tensor) -> None:
        """Recognizes the next samples.

        Args:
            waveform: float32 in [-1, 1] at the model's sampling rate, (samples,).

        Raises:
            RunError: The utterance is finished.
        """
        if self._finished:
            raise RunError("This stream is finished: begin another one for the next utterance.")
        self._samples = torch.cat([self._samples, waveform.cpu()])
        self._advance(final=False)

    def hear(self, waveform: Tensor) -> None:
        """The former name of `accept`."""
        warnings.warn("Stream.hear is now called Stream.accept", DeprecationWarning, stacklevel=2)
        self.accept(waveform)

    def finish(self) -> str:
        """Ends the utterance, so that its last frames are decoded too; returns its hypothesis."""
        if not self._finished:
            self._advance(final=True)
            self._finished = True
        return self.text

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the tokens in the frames that are settled, (frames, 1, tokens)."""
        return torch.cat(self._log_probs)

    @property
    def text(self) -> str:
        """The hypothesis so far, decoded from the beginning at each call."""
        log_probs = self.log_probs
        (hypothesis,) = self._decoder(log_probs, torch.tensor([len(log_probs)]))
        return hypothesis

    @torch.inference_mode()
    def _advance(self, final: bool) -> None:
        log_probs, self._state = self._model.stream(self._next_features(final), self._state, final)
        if len(log_probs) or not self._log_probs:
            self._log_probs.append(log_probs)

    def _next_features(self, final: bool) -> Tensor:
        """Features of the frames that are settled since the last call, (1, frames, dim)."""
        config, extractor = self._config.features, self._front.extractor
        reach = DELTAS_REACH if config.deltas else 0
        samples, rate = len(self._samples), extractor.sampling_rate
        settled = frame_count(config, rate, samples) if final else max(settled_frames(config, rate, samples) - reach, 0)
        device = next(self._model.parameters()).device
        if settled <= self._given:
            return torch.zeros(1, 0, extractor.dim, device=device)
        lengths = torch.tensor([samples], device=device)
        features: Tensor = self._front(self._samples[None].to(device), lengths)[0]
        new = features[:, self._given : settled]
        # The last frame stays: its samples tell where the next one begins. So do those that would find the samples
        # before them mirrored, which is right at the beginning of the utterance alone.
        self._given = min(settled, max(reach + extractor.mirrored, 1))
        self._samples = self._samples[(settled - self._given) * extractor.hop :]
        return new
