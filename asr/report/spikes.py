"""What CTC writes when: the spikes of an utterance and the times of its words, from the model's best path."""

from dataclasses import dataclass

import torch
from torch import Tensor

from asr.decoding.alignment import TimedWord, align, frame_times, word_spans
from asr.decoding.greedy import greedy
from asr.decoding.recognizer import Recognizer
from asr.text.protocol import BLANK, SPACE_SYMBOL

SEEN = 0.05
"""A token is shown in a frame from this probability on."""


@dataclass(frozen=True)
class Spike:
    """A token in a frame."""

    frame: int
    text: str
    probability: float


@dataclass(frozen=True)
class Reading:
    """How a model reads an utterance."""

    frame_seconds: float
    """Time between frames of the model's output (s)."""
    offset: float
    """When frame 0 begins (s)."""
    frames: int
    spikes: list[Spike]
    words: list[TimedWord]
    blank_share: float
    """Share of frames in which the blank is the best token."""


@torch.inference_mode()
def read(recognizer: Recognizer, waveform: Tensor) -> Reading:
    """Reads one utterance.

    Args:
        waveform: float32 in [-1, 1] at the model's rate, shape (samples,).
    """
    log_probs, lengths = recognizer.log_probs(waveform[None], torch.tensor([len(waveform)]))
    frames = int(lengths[0])
    path = log_probs[:frames, 0].float().exp().cpu()
    times = frame_times(recognizer.config)
    (alignment,) = align(log_probs, lengths, greedy(log_probs, lengths))
    assert alignment is not None  # what was written has fitted
    letters = [symbol.replace(SPACE_SYMBOL, " ").strip() or " " for symbol in recognizer.tokenizer.symbols]
    spikes = [
        Spike(int(frame), letters[int(token)], round(float(path[frame, token]), 3))
        for frame, token in (path > SEEN).nonzero().tolist()
        if token != BLANK
    ]
    return Reading(
        frame_seconds=times.frame_seconds,
        offset=times.offset,
        frames=frames,
        spikes=spikes,
        words=times.words(word_spans(alignment, recognizer.tokenizer)),
        blank_share=float((path.argmax(dim=1) == BLANK).float().mean()) if frames else 0.0,
    )
