"""A page of augmented training examples: their audio, and the features that are the input of the model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor

from asr.batching.dataset import Dataset
from asr.common.errors import ConfigError
from asr.common.files import atomic_folder
from asr.common.progress import Progress
from asr.common.seeds import Draws
from asr.data.utterance import Utterance
from asr.features.augment import draw_speed_factors, draw_tempo_factors, spec_augment
from asr.features.extractor import FeatureExtractor
from asr.features.front_end import Normalizer
from asr.settings.features import Normalization
from asr.settings.root import Config

MARK = ".asr-listen"
RANGE = 2.5
"""Features are drawn from this many standard deviations below their mean to this many above."""


@dataclass(frozen=True)
class Example:
    """An utterance as an epoch reads it; files are relative to the page."""

    title: str
    drawn: str
    audio: str
    picture: str


def write_examples(recipe: str, config: Config, utterances: Sequence[Utterance], folder: Path) -> None:
    """Writes index.html with its WAV and PNG files; the folder is replaced whole.

    Audio above full scale, which trainings read unchanged, is scaled down to full scale.

    Raises:
        ConfigError: The folder has other files.
        DataError: Audio cannot be read.
    """
    if folder.exists() and not (folder / MARK).is_file():
        raise ConfigError(f"{folder} exists and was not written by `asr listen`: set listen.folder to another.")
    plain, train = Dataset(utterances, None, None, config.seed), Dataset(utterances, None, config.augment, config.seed)
    pages = []
    with atomic_folder(folder) as place, Progress("Augmenting", len(utterances), "utterances") as progress:
        for number, utterance in enumerate(utterances):
            name = f"{number:03d}-{re.sub('[^A-Za-z0-9_-]', '_', utterance.id)[:60]}"
            before = plain(number, 0)
            files = _write(place, f"{name}-original", before, utterance, _features(before, config), config)
            examples = [Example("original", "", *files)]
            for epoch in range(config.listen.epochs):
                augmented = train(number, epoch)
                features = _features(augmented, config)
                masked = spec_augment(
                    features,
                    torch.tensor([features.shape[1]]),
                    Draws(train.keys[number : number + 1], config.seed, epoch),
                    config.augment.spec_augment,
                    config.features.hop_ms,
                )
                files = _write(place, f"{name}-epoch{epoch}", augmented, utterance, masked, config)
                examples.append(Example(f"epoch {epoch}", _drawn(train, number, epoch), *files))
            pages.append((utterance, examples))
            progress.advance()
        page = Environment(loader=PackageLoader("asr.report"), autoescape=True, undefined=StrictUndefined).get_template(
            "augmented_examples.html"
        )
        (place / "index.html").write_text(
            page.render(recipe=recipe, kind=config.features.kind.name, utterances=pages), encoding="utf-8"
        )
        (place / MARK).write_text("Written by `asr listen`, which replaces the whole folder.\n", encoding="utf-8")


def _drawn(inputs: Dataset, number: int, epoch: int) -> str:
    """The augmentation of an utterance in an epoch, in words."""
    assert inputs.augment is not None
    draws = Draws(inputs.keys[number : number + 1], inputs.seed, epoch)
    factors = (("speed", draw_speed_factors), ("tempo", draw_tempo_factors))
    drawn = [f"{name} {factor:g}" for name, draw in factors if (factor := draw(draws, inputs.augment)[0]) != 1.0]
    return ", ".join([*drawn, *inputs.drawn(number, epoch)]) or "waveform unchanged"


def _features(waveform: Tensor, config: Config) -> Tensor:
    """Features with mean 0 and variance 1 over the utterance, (1, frames, dim)."""
    extractor = FeatureExtractor(config.features, config.data.sampling_rate)
    features, lengths = extractor(waveform[None], torch.tensor([len(waveform)]))
    normalized: Tensor = Normalizer(Normalization.utterance, extractor.dim)(features, lengths)
    return normalized


def _write(
    folder: Path, name: str, waveform: Tensor, utterance: Utterance, features: Tensor, config: Config
) -> tuple[str, str]:
    peak = float(waveform.abs().max().clamp_min(1.0))
    soundfile.write(folder / f"{name}.wav", (waveform / peak).numpy(), utterance.sampling_rate, subtype="PCM_16")
    _draw(folder / f"{name}.png", features[0], config.features.hop_ms)
    return f"{name}.wav", f"{name}.png"


def _draw(path: Path, features: Tensor, hop_ms: float) -> None:
    """Draws features (frames, dim) over time, all at the same scale."""
    from matplotlib.figure import Figure

    seconds = len(features) * hop_ms / 1000
    figure = Figure(figsize=(max(2.0, 1.0 + 2.0 * seconds), 2.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        features.T.numpy(), origin="lower", aspect="auto", interpolation="nearest", cmap="magma",
        extent=(0, seconds, 0, features.shape[1]), vmin=-RANGE, vmax=RANGE,
    )  # fmt: skip
    axes.set_xlabel("seconds")
    axes.set_ylabel("feature")
    figure.savefig(path)
