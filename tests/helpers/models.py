"""Small models with random weights."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from asr.inference.recognizer import Recognizer
from asr.model.folder import build_model, save_model
from asr.settings.features import Normalization
from asr.text.tokenizer import build_tokenizer
from tests.helpers.configurations import composed

SMALL = ["model.hidden=24", "model.channels=4"]


def save_small_model(folder: Path) -> Path:
    """Writes a model folder of AN4's letters with random weights and a fitted normalizer; gives the folder."""
    config = composed("an4", "tokenizer=char", *SMALL)
    tokenizer = build_tokenizer(config.tokenizer, [])
    model = build_model(config, tokenizer.size)
    model.normalizer.fit([torch.randn(50, 80)])
    save_model(folder, model, config, tokenizer)
    return folder


def random_recognizer(overrides: Sequence[str], waveforms: Sequence[Tensor], device: str = "cpu") -> Recognizer:
    """A recognizer of AN4's tokens with random weights, its normalizer fitted to waveforms if it needs that."""
    config = composed("an4", "tokenizer=char", *SMALL, *overrides)
    tokenizer = build_tokenizer(config.tokenizer, [])
    torch.manual_seed(0)
    model = build_model(config, tokenizer.size).eval().to(device)
    recognizer = Recognizer(model, config, tokenizer, torch.device(device))
    with torch.no_grad():
        recognizer.model.head.weight *= 3  # else all tokens are about equally likely, whatever the input
        if recognizer.model.lookahead is not None:
            recognizer.model.lookahead.weight.uniform_(-0.5, 0.5)
    if config.features.normalization is Normalization.corpus:
        extractor = recognizer.front.extractor
        whole = (waveform[None].to(device) for waveform in waveforms)
        features = (extractor(waveform, torch.tensor([waveform.shape[1]], device=device))[0][0] for waveform in whole)
        recognizer.model.normalizer.fit(features)
    return recognizer
