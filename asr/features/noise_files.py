"""Audio files for augmentation: noise, music and speech that are mixed in, and impulse responses of rooms."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from asr.common.errors import ConfigError, DataError, faults_among
from asr.common.processes import map_blocks
from asr.data.audio_paths import audio_below, for_libsndfile
from asr.data.resampling import LOWEST_RATE, resampled


@dataclass(frozen=True, slots=True)
class NoiseFile:
    """An audio file and what its header says."""

    path: Path
    samples: int
    sampling_rate: int


class NoiseFiles:
    """All audio files below some folders, such as MUSAN's `noise`, in the order of their paths within each folder.

    Of several channels the first is read. Unlike corpora, they are resampled where their rate differs.

    Raises:
        ConfigError: A folder is missing or has no audio; names the key of the configuration.
        DataError: A file cannot be read.
    """

    def __init__(self, folders: Sequence[str], key: str) -> None:
        outcomes = map_blocks(_read_headers, audio_files(folders, key), 4096, f"Reading {key}", "files")
        if faults := [outcome for outcome in outcomes if isinstance(outcome, str)]:
            remedy = "replace the file, or remove it from its folder"
            raise faults_among(faults, len(outcomes), f"recordings of {key}", remedy)
        self.files = [outcome for outcome in outcomes if isinstance(outcome, NoiseFile)]

    def segment(self, which: float, start: float, samples: int, sampling_rate: int) -> Tensor:
        """A segment of one of the files, float32, shape (samples,), which wraps around at the end.

        Args:
            which: A draw from [0, 1) for the file.
            start: A draw from [0, 1) for the start.

        Raises:
            DataError: The file can no longer be read.
        """
        file = self.files[int(which * len(self.files))]
        needed = -(-samples * file.sampling_rate // sampling_rate) + 1
        begin = int(start * file.samples)
        sound = _read(file, begin, min(needed, file.samples - begin))
        if len(sound) < needed:
            whole = _read(file, 0, min(needed - len(sound), file.samples))
            sound = torch.cat([sound, whole.repeat(-(-(needed - len(sound)) // len(whole)))])
        return resampled(sound[:needed], file.sampling_rate, sampling_rate)[:samples]

    def whole(self, which: float, sampling_rate: int) -> Tensor:
        """A whole file, shape (samples,).

        Raises:
            DataError: It can no longer be read.
        """
        file = self.files[int(which * len(self.files))]
        return resampled(_read(file, 0, file.samples), file.sampling_rate, sampling_rate)


def audio_files(folders: Sequence[str], key: str) -> list[Path]:
    """The audio files below folders, each folder's in the order of their paths.

    Raises:
        ConfigError: A folder is missing or has none.
    """
    files = []
    for folder in (Path(folder).expanduser() for folder in folders):
        found = sorted(path for path in audio_below(folder) if path.is_file()) if folder.is_dir() else []
        if not found:
            what = "contains no audio" if folder.is_dir() else "is not a folder"
            raise ConfigError(f"{key}: {folder} {what}: give folders of recordings.")
        files += found
    return files


def recordings_checksum(folders: Sequence[str], key: str) -> str:
    """A checksum of the names and sizes of the files, which the identity of a run has in place of the folders' paths.

    Raises:
        ConfigError: A folder is missing or has no audio.
    """
    digest = hashlib.sha256()
    for folder in folders:
        root = Path(folder).expanduser()
        for path in audio_files([folder], key):
            digest.update(os.fsencode(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\n"))
        digest.update(b"\n")
    return digest.hexdigest()


def _read_headers(paths: Sequence[Path]) -> list[NoiseFile | str]:
    return [_read_header(path) for path in paths]


def _read_header(path: Path) -> NoiseFile | str:
    """A file, or what is wrong with it."""
    try:
        info = soundfile.info(for_libsndfile(path))
    except (soundfile.LibsndfileError, OSError) as error:
        return f"The recording {path} cannot be read ({error})"
    if info.frames == 0:
        return f"The recording {path} is empty"
    if info.samplerate < LOWEST_RATE:
        return f"The recording {path} has a sampling rate of {info.samplerate} Hz, below {LOWEST_RATE} Hz"
    return NoiseFile(path, info.frames, info.samplerate)


def _read(file: NoiseFile, start: int, samples: int) -> Tensor:
    try:
        sound, _ = soundfile.read(for_libsndfile(file.path), samples, start, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"The recording {file.path} cannot be read ({error}): replace it.") from None
    if len(sound) < samples or not np.isfinite(sound).all():
        raise DataError(f"The recording {file.path} is truncated or damaged: replace it.")
    return torch.from_numpy(np.ascontiguousarray(sound[:, 0]))
