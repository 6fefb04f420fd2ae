"""The picture of an utterance in a report: its log-mel spectrogram, token probabilities and word times."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.decoding.greedy import greedy
from asr.features.extractor import FeatureExtractor
from asr.inference.forced_alignment import TimedWord, align, frame_times, word_spans
from asr.inference.recognizer import Recognizer
from asr.settings.features import FeatureKind, FeaturesConfig, FeatureSource, Normalization
from asr.text.protocol import BLANK, SPACE_SYMBOL

MELS_AT_8_KHZ, MELS = 40, 80
COLUMNS = 1200
"""The most columns of a spectrogram."""
LOWEST_PROBABILITY = 0.05
"""A token is shown in a frame from this probability on."""


@dataclass(frozen=True)
class TokenProbability:
    """A token in a frame."""

    frame: int
    text: str
    probability: float


@dataclass(frozen=True)
class ModelOutput:
    """The output of a model for an utterance."""

    frame_seconds: float
    """Time between frames of the model's output (s)."""
    offset: float
    """When frame 0 begins (s)."""
    frames: int
    tokens: list[TokenProbability]
    """Without blanks."""
    words: list[TimedWord]
    blank_share: float
    """Share of frames in which the blank is the best token."""


@torch.inference_mode()
def model_output(recognizer: Recognizer, waveform: Tensor) -> ModelOutput:
    """Runs a model on one utterance, with the times of the words on its best path.

    Args:
        waveform: float32 in [-1, 1] at the model's rate, shape (samples,).
    """
    log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    frames = int(lengths[0])
    path = log_probs[:frames, 0].float().exp().cpu()
    times = frame_times(recognizer.config)
    (alignment,) = align(log_probs, lengths, greedy(log_probs, lengths))
    assert alignment is not None  # the best path itself fits
    letters = [symbol.replace(SPACE_SYMBOL, " ").strip() or " " for symbol in recognizer.tokenizer.symbols]
    tokens = [
        TokenProbability(int(frame), letters[int(token)], round(float(path[frame, token]), 3))
        for frame, token in (path > LOWEST_PROBABILITY).nonzero().tolist()
        if token != BLANK
    ]
    return ModelOutput(
        frame_seconds=times.frame_seconds,
        offset=times.offset,
        frames=frames,
        tokens=tokens,
        words=times.words(word_spans(alignment, recognizer.tokenizer)),
        blank_share=float((path.argmax(dim=1) == BLANK).float().mean()) if frames else 0.0,
    )


def log_mel_picture(waveform: Tensor, sampling_rate: int) -> Mapping[str, str | int]:
    """The log-mel spectrogram as bytes: 80 bands (40 at 8 kHz), every 10 ms, coarser in a long utterance.

    Args:
        waveform: Shape (samples,).
        sampling_rate: Hz.

    Returns:
        Its width and height in pixels, and `bytes` in base64: column by column, the lowest band first, 0 the quietest.
    """
    mels = MELS if sampling_rate >= 16000 else MELS_AT_8_KHZ
    settings = FeaturesConfig(
        kind=FeatureKind.logmel,
        source=FeatureSource.online,
        normalization=Normalization.none,
        window_ms=25,
        hop_ms=10,
        mels=mels,
        coefficients=None,
        deltas=False,
    )
    features, _ = FeatureExtractor(settings, sampling_rate)(waveform[None], torch.tensor([len(waveform)]))
    picture = features[0]
    if len(picture) > COLUMNS:
        picture = torch.nn.functional.adaptive_avg_pool1d(picture.T[None], COLUMNS)[0].T
    # From the quietest hundredth to the loudest point.
    low, high = float(picture.quantile(0.01)), float(picture.max())
    levels = ((picture - low) / max(high - low, 1e-6)).clamp(0, 1).mul(255).round().to(torch.uint8)
    return {
        "width": len(picture),
        "height": mels,
        "bytes": base64.b64encode(levels.contiguous().numpy().tobytes()).decode("ascii"),
    }
