"""A recognizer that needs no training: it tells the tones of `tests.helpers.corpora.tones` by their pitch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from asr.inference.recognizer import Recognizer
from tests.helpers.models import random_recognizer

STEP, WINDOW = 640, 400
"""Samples of 4 frames of 10 ms, and of the window of one."""


def tone_recognizer() -> Recognizer:
    """Its words are those of the tones where no letter follows itself; silence separates them."""
    recognizer = random_recognizer(["features.normalization=utterance"], [])
    symbols = "".join(recognizer.tokenizer.decode([token]) for token in range(1, recognizer.tokenizer.size))

    def log_probs(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames = [_frames(waveform[:length], symbols) for waveform, length in zip(waveforms, lengths, strict=True)]
        padded = torch.nn.utils.rnn.pad_sequence(frames)
        return padded.log_softmax(dim=2), torch.tensor([len(frame) for frame in frames])

    recognizer.log_probs = log_probs  # type: ignore[method-assign] - what the tests need of it
    return recognizer


def _frames(waveform: Tensor, symbols: str) -> Tensor:
    windows = waveform.unfold(0, WINDOW, STEP)
    power = (windows * torch.hann_window(WINDOW)).abs().pow(2).mean(dim=1)
    spectrum = torch.fft.rfft(windows * torch.hann_window(WINDOW), n=4096).abs()
    pitch = spectrum.argmax(dim=1) * 16000 / 4096
    letters = [chr(ord("A") + max(0, min(25, round((float(hertz) - 150) / 90)))) for hertz in pitch]
    loud = (power > 1e-3).tolist()
    out = torch.zeros(len(windows), 1 + len(symbols))
    for frame, letter in enumerate(letters):
        near = loud[max(0, frame - 1) : frame + 2]
        token = 1 + symbols.index(letter) if loud[frame] else 0 if any(near) else 1 + symbols.index(" ")
        out[frame, token] = 10.0
    return out


def words(count: int, seed: int, letters: Sequence[str] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> str:
    """Words of two to five letters, none of which follows itself."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in range(count):
        size = int(torch.randint(2, 6, (1,), generator=generator))
        drawn.append("".join(letters[int(n)] for n in torch.randperm(len(letters), generator=generator)[:size]))
    return " ".join(drawn)
