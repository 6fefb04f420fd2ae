"""The audio of utterances in a report: files to play, and an estimate of their signal-to-noise ratio."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import soundfile

from asr.common.errors import DataError
from asr.common.files import atomic_write
from asr.common.processes import map_blocks
from asr.data.audio import read_waveform
from asr.data.utterance import Utterance

LEVEL_SECONDS = 0.025
LOUD, QUIET = 0.95, 0.10
"""Quantiles of the frame power that stand for speech and for background noise."""
POWER_FLOOR = 1e-10
PLAYABLE = (".wav", ".flac", ".mp3", ".ogg", ".opus")
"""What browsers play."""


class AudioChoice(Enum):
    embed = "embed"
    link = "link"
    none = "none"


@dataclass(frozen=True)
class Clip:
    """The audio of an utterance."""

    level: float | None
    """Estimated SNR (dB); None where the audio could not be read."""
    source: str | None
    """For the player of the page: a file of the report, or an address; None for no audio."""


@dataclass(frozen=True)
class _Task:
    utterance: Utterance
    file: Path | None
    """Where to put a copy."""


def make_clips(utterances: Sequence[Utterance], choice: AudioChoice, report: Path, folder: str) -> dict[str, Clip]:
    """Reads the audio of every utterance, and puts it into the report if that is wanted.

    Args:
        choice: embed copies the audio, link refers to the original file, none leaves it out.
        report: The folder of the report.
        folder: The folder of the copies in it, such as `audio/test`.

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
    levels = map_blocks(_levels, tasks, 128, "Reading audio", "utterances")
    if choice is AudioChoice.link:
        files = [_link(utterance, report) for utterance in utterances]
    return {
        utterance.id: Clip(level, file if level is not None else None)
        for utterance, level, file in zip(utterances, levels, files, strict=True)
    }


def _levels(tasks: Sequence[_Task]) -> list[float | None]:
    return [_level(task) for task in tasks]


def _level(task: _Task) -> float | None:
    try:
        waveform = read_waveform(task.utterance).numpy()
    except DataError:
        return None
    if task.file is not None and not task.file.exists():
        with atomic_write(task.file) as file:
            soundfile.write(file, waveform, task.utterance.sampling_rate, format="FLAC", subtype="PCM_16")
    return estimated_snr(waveform, task.utterance.sampling_rate)


def estimated_snr(waveform: npt.NDArray[np.float32], sampling_rate: int) -> float:
    """The estimated signal-to-noise ratio (dB): the power of loud frames over that of quiet ones.

    A rough measure that needs no reference; an utterance without pauses has no quiet frames, so its SNR is too low.

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
