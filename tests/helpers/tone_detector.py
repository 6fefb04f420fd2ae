"""A model of tokenizer=speech that needs no training: speech are tones, whatever noise is beside them."""

import torch
from torch import Tensor

from asr.inference.recognizer import Recognizer
from asr.model.folder import build_model
from asr.text.speech import SpeechTokenizer
from tests.helpers.configurations import composed

SMALL = ["model.hidden=8", "model.channels=4", "model.layers=1", "model.subsampling=2", "features.normalization=none"]
HOP_MS, WINDOW_MS = 20, 25


def random_detector(*overrides: str) -> Recognizer:
    """A model with random weights."""
    config, tokenizer = composed("vad", *SMALL, *overrides), SpeechTokenizer()
    torch.manual_seed(0)
    return Recognizer(build_model(config, tokenizer.size).eval(), config, tokenizer, torch.device("cpu"))


def tone_detector(*overrides: str) -> Recognizer:
    """Its speech is what has most of its power at one frequency."""
    detector = random_detector(*overrides)
    hop, window = (detector.config.data.sampling_rate * part // 1000 for part in (HOP_MS, WINDOW_MS))

    def log_probs(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames = [waveform[:length].unfold(0, window, hop) for waveform, length in zip(waveforms, lengths, strict=True)]
        power = torch.nn.utils.rnn.pad_sequence(
            [torch.fft.rfft(one * torch.hann_window(window)).abs() ** 2 for one in frames]
        )
        share = power.unfold(2, 5, 1).sum(dim=3).amax(dim=2) / power.sum(dim=2)
        odds = 40 * (share - 0.6)
        return torch.stack([-odds, odds], dim=2).log_softmax(dim=2), torch.tensor([len(one) for one in frames])

    detector.log_probs = log_probs  # type: ignore[method-assign] - what the tests need of it
    return detector
