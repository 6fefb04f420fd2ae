"""The audio of utterances in a report: how far speech stands above its background, files to play, log-mel pictures."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torch import Tensor

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.processes import map_blocks
from asr.data.audio import read_waveform
from asr.data.utterance import Utterance
from asr.features.extractor import FeatureExtractor
from asr.settings.features import FeatureKind, FeaturesConfig, FeatureSource, Normalization

LEVEL_SECONDS = 0.025
LOUD, QUIET = 0.95, 0.10
"""Quantiles of the power of frames that stand for the speech and for its background."""
POWER_FLOOR = 1e-10
PLAYABLE = (".wav", ".flac", ".mp3", ".ogg", ".opus")
"""What browsers play."""
MELS_AT_8_KHZ, MELS = 40, 80
COLUMNS = 1200
"""A picture has at most so many columns."""


class AudioChoice(Enum):
    embed = "embed"
    link = "link"
    none = "none"


@dataclass(frozen=True)
class Heard:
    """What was found out by listening to an utterance."""

    level: float | None
    """Speech above background (dB); None where the audio could not be read."""
    source: str | None
    """What the page's player is given: a file of the report, or an address; None for no sound."""


@dataclass(frozen=True)
class _Task:
    utterance: Utterance
    file: Path | None
    """Where to put a copy."""


def listen(utterances: Sequence[Utterance], choice: AudioChoice, report: Path, folder: str) -> dict[str, Heard]:
    """Reads every utterance, and puts its audio into the report if that is wanted.

    Args:
        choice: embed copies the audio, link refers to where it lies, none leaves it out.
        report: The folder of the report.
        folder: Where in it the copies go, as `audio/test`.

    Returns:
        By id.
    """
    files: list[str | None] = [f"{folder}/{number}.flac" for number in range(len(utterances))]
    if choice is AudioChoice.embed:
        (report / folder).mkdir(parents=True, exist_ok=True)
    else:
        files = [None] * len(utterances)
    tasks = [
        _Task(utterance, report / file if file else None) for utterance, file in zip(utterances, files, strict=True)
    ]
    levels = map_blocks(_listen, tasks, 128, "Listening", "utterances")
    if choice is AudioChoice.link:
        files = [_link(utterance, report) for utterance in utterances]
    return {
        utterance.id: Heard(level, file if level is not None else None)
        for utterance, level, file in zip(utterances, levels, files, strict=True)
    }


def _listen(tasks: Sequence[_Task]) -> list[float | None]:
    return [_attempt(task) for task in tasks]


def _attempt(task: _Task) -> float | None:
    try:
        waveform = read_waveform(task.utterance).numpy()
    except DataError:
        return None
    if task.file is not None and not task.file.exists():
        with atomic_write(task.file) as file:
            soundfile.write(file, waveform, task.utterance.sampling_rate, format="FLAC", subtype="PCM_16")
    return speech_level(waveform, task.utterance.sampling_rate)


def speech_level(waveform: npt.NDArray[np.float32], sampling_rate: int) -> float:
    """How far speech stands above its background (dB): loud frames over quiet ones.

    A rough measure of noise that needs no reference: an utterance that is all speech has no quiet frame to compare.

    Args:
        waveform: Shape (samples,).
        sampling_rate: Hz.
    """
    size = max(1, round(LEVEL_SECONDS * sampling_rate))
    count = max(1, len(waveform) // size)
    frames = waveform[: count * size].reshape(count, -1).astype(np.float64)
    loud, quiet = np.quantile(np.square(frames).mean(axis=1) + POWER_FLOOR, [LOUD, QUIET])
    return round(float(10 * np.log10(loud / quiet)), 1)


def _link(utterance: Utterance, report: Path) -> str | None:
    """The address of an utterance within its file, relative to the report; None for a format that browsers lack."""
    path = utterance.audio_filepath
    if path.suffix.lower() not in PLAYABLE:
        return None
    address = quote(os.fsencode(os.path.relpath(path, report.absolute())))
    whole = utterance.offset == 0 and abs(soundfile.info(path).duration - utterance.duration) < 0.01
    return address if whole else f"{address}#t={utterance.offset:.3f},{utterance.offset + utterance.duration:.3f}"


def log_mel_picture(waveform: Tensor, sampling_rate: int) -> Mapping[str, str | int]:
    """The log-mel spectrogram as bytes: 80 bands (40 at 8 kHz), every 10 ms, or less often in a long utterance.

    Args:
        waveform: Shape (samples,).
        sampling_rate: Hz.

    Returns:
        Its width and height in points, and `bytes` in base64: column after column, the lowest band first, the quietest
        point 0.
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
    # The range from the quietest hundredth to the loudest point, so that one click does not darken all else.
    low, high = float(picture.quantile(0.01)), float(picture.max())
    levels = ((picture - low) / max(high - low, 1e-6)).clamp(0, 1).mul(255).round().to(torch.uint8)
    return {
        "width": len(picture),
        "height": mels,
        "bytes": base64.b64encode(levels.contiguous().numpy().tobytes()).decode("ascii"),
    }
