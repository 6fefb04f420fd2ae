"""Recordings that are mixed into others, or through which they are heard: the audio files of folders."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torchaudio.transforms import Resample

from asr.common.errors import ConfigError, DataError
from asr.common.processes import map_blocks
from asr.data.formats.audio_folder import AUDIO


@dataclass(frozen=True, slots=True)
class Recording:
    """An audio file and what its header says."""

    path: Path
    samples: int
    sampling_rate: int


class Recordings:
    """All audio files below some folders, as MUSAN's `noise`, in the order of their paths within each.

    Of several channels the first is read; another rate than asked for is resampled, as that of no corpus is.

    Args:
        folders: At least one.
        key: Of the configuration, for the sentences of errors.

    Raises:
        ConfigError: A folder is missing or holds no audio.
        DataError: A file cannot be read.
    """

    def __init__(self, folders: Sequence[str], key: str) -> None:
        self.files: list[Recording] = []
        for outcome in map_blocks(_read_headers, audio_files(folders, key), 4096, f"Reading {key}", "files"):
            if isinstance(outcome, DataError):
                raise outcome
            self.files.append(outcome)

    def stretch(self, which: float, start: float, samples: int, sampling_rate: int) -> Tensor:
        """A stretch of one of the files, which goes on from its beginning where it ends.

        Args:
            which: Draws the file, from 0 to below 1.
            start: Draws where it starts, from 0 to below 1.
            samples: How many.
            sampling_rate: Of what is returned (Hz).

        Returns:
            float32, shape (samples,).

        Raises:
            DataError: The file cannot be read any more.
        """
        file = self.files[int(which * len(self.files))]
        needed = -(-samples * file.sampling_rate // sampling_rate) + 1
        begin = int(start * file.samples)
        sound = _read(file, begin, min(needed, file.samples - begin))
        if len(sound) < needed:
            whole = _read(file, 0, min(needed - len(sound), file.samples))
            sound = torch.cat([sound, whole.repeat(-(-(needed - len(sound)) // len(whole)))])
        return _resampled(sound[:needed], file.sampling_rate, sampling_rate)[:samples]

    def whole(self, which: float, sampling_rate: int) -> Tensor:
        """One of the files, shape (samples,).

        Raises:
            DataError: It cannot be read any more.
        """
        file = self.files[int(which * len(self.files))]
        return _resampled(_read(file, 0, file.samples), file.sampling_rate, sampling_rate)


def audio_files(folders: Sequence[str], key: str) -> list[Path]:
    """The audio files below folders, each folder's in the order of their paths.

    Raises:
        ConfigError: A folder is missing or holds none.
    """
    files = []
    for folder in (Path(folder).expanduser() for folder in folders):
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
        if not found:
            what = "holds no audio" if folder.is_dir() else "is no folder"
            raise ConfigError(f"{key}: {folder} {what}: give folders of recordings.")
        files += found
    return files


def recordings_checksum(folders: Sequence[str], key: str) -> str:
    """A checksum of the names and sizes of the files: what a run's identity has in place of the folders' paths.

    Raises:
        ConfigError: A folder is missing or holds no audio.
    """
    digest = hashlib.sha256()
    for folder in folders:
        root = Path(folder).expanduser()
        for path in audio_files([folder], key):
            digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _read_headers(paths: Sequence[Path]) -> list[Recording | DataError]:
    return [_read_header(path) for path in paths]


def _read_header(path: Path) -> Recording | DataError:
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        return DataError(f"The recording {path} cannot be read ({error}): replace it or take it out of its folder.")
    if info.frames == 0:
        return DataError(f"The recording {path} is empty: replace it or take it out of its folder.")
    return Recording(path, info.frames, info.samplerate)


def _read(file: Recording, start: int, samples: int) -> Tensor:
    try:
        sound, _ = soundfile.read(file.path, samples, start, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"The recording {file.path} cannot be read ({error}): replace it.") from None
    if len(sound) < samples or not np.isfinite(sound).all():
        raise DataError(f"The recording {file.path} is cut short or damaged: replace it.")
    return torch.from_numpy(np.ascontiguousarray(sound[:, 0]))


def _resampled(sound: Tensor, old: int, new: int) -> Tensor:
    resampled: Tensor = sound if old == new else _resampler(old, new)(sound)
    return resampled


@functools.cache
def _resampler(old: int, new: int) -> Resample:
    return Resample(old, new)
