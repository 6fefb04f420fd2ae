"""Reading audio: exactly the samples that the manifest describes, or an error that says what is wrong."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
import torch
from torch import Tensor

from asr.common.errors import DataError, faults_among
from asr.data.headers import header_fault
from asr.data.utterance import Utterance


def read_waveform(utterance: Utterance) -> Tensor:
    """Reads the samples of an utterance in any format that libsndfile knows (WAV, FLAC, NIST SPHERE, Ogg, MP3).

    Returns:
        float32 in [-1, 1], shape (samples,).

    Raises:
        DataError: The file is missing, cannot be decoded, holds fewer samples than the manifest says, more than one
            channel, or another sampling rate.
    """
    with _opened(utterance) as file:
        return _samples(utterance, file, utterance.place)


def decode_waveform(utterance: Utterance, audio: bytes, place: str) -> Tensor:
    """As `read_waveform`, from the bytes of a file that begins with the utterance; errors begin with the place."""
    with _readable(utterance, BytesIO(audio), place, start=0) as file:
        return _samples(utterance, file, place)


def check_header(utterance: Utterance) -> None:
    """Compares the header of an utterance's file with the manifest, without decoding the audio.

    Raises:
        DataError: As `read_waveform`, as far as the header shows it.
    """
    with _opened(utterance):
        pass


class Audio(Protocol):
    """Where the samples of utterances come from."""

    remote: bool
    """Whether prefetching is worthwhile."""

    def read(self, utterance: Utterance) -> Tensor:
        """The samples, float32 in [-1, 1], shape (samples,).

        Raises:
            DataError: They cannot be read.
        """

    def check(self, utterance: Utterance) -> None:
        """Checks that they can be read, without decoding.

        Raises:
            DataError: They cannot.
        """

    def verify(self) -> dict[str, str]:
        """What is wrong with files that hold many utterances, by their names."""

    def prefetch(self, utterances: Sequence[Utterance]) -> None:
        """Fetches what is read next."""

    def stamps(self, utterances: Sequence[Utterance], data: Path) -> Iterator[list[Any]]:
        """What identifies the audio of each utterance.

        Raises:
            DataError: An utterance has none.
        """


class AudioFiles:
    """The files that manifests name."""

    remote = False

    def read(self, utterance: Utterance) -> Tensor:
        """As `read_waveform`."""
        return read_waveform(utterance)

    def check(self, utterance: Utterance) -> None:
        """As `check_header`."""
        check_header(utterance)

    def verify(self) -> dict[str, str]:
        """Nothing: `check` looks at each file."""
        return {}

    def prefetch(self, utterances: Sequence[Utterance]) -> None:
        """Nothing: the operating system reads ahead."""

    def stamps(self, utterances: Sequence[Utterance], data: Path) -> Iterator[list[Any]]:
        """Path relative to the data folder, size and modification time of each file."""
        files: dict[Path, list[Any]] = {}
        faults = []
        for utterance in utterances:
            path = utterance.audio_filepath
            if path not in files:
                try:
                    status = path.stat()
                except OSError:
                    faults.append(MISSING.format(utterance.place))
                    continue
                files[path] = [os.path.relpath(path, data), status.st_size, status.st_mtime_ns]
            yield files[path]
        if faults:
            raise faults_among(faults, len(utterances), "utterances")


FILES = AudioFiles()
MISSING = "{}: the audio file is missing; put it back or leave the utterance out."
CONVERT = (
    "delete the folder of the manifests and prepare it again with data.convert=true, also in recipe.yaml, which makes "
    "one channel of data.sampling_rate of each file"
)


def _opened(utterance: Utterance) -> AbstractContextManager[soundfile.SoundFile]:
    """The file of an utterance at its first sample."""
    start = round(utterance.offset * utterance.sampling_rate)
    return _readable(utterance, utterance.audio_filepath, utterance.place, start)


@contextmanager
def _readable(utterance: Utterance, source: Path | BytesIO, place: str, start: int) -> Iterator[soundfile.SoundFile]:
    """A file that is as the manifest describes it, at a sample."""
    try:
        if isinstance(source, Path) and not source.is_file():
            raise DataError(MISSING.format(place))
        with soundfile.SoundFile(source) as file:
            if file.samplerate != utterance.sampling_rate:
                raise DataError(
                    f"{place}: the file has {file.samplerate} Hz, the manifest says {utterance.sampling_rate} Hz; "
                    "replace the file or correct the manifest."
                )
            if file.channels != 1:
                raise DataError(f"{place}: the file has {file.channels} channels; {CONVERT}.")
            start = min(start, file.frames)
            _check_length(utterance, file.frames - start, place)
            file.seek(start)
            yield file
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(
            f"{place}: the audio cannot be decoded ({error}); replace the file or leave the utterance out."
        ) from None


def _samples(utterance: Utterance, file: soundfile.SoundFile, place: str) -> Tensor:
    samples = file.read(utterance.samples, dtype="float32", always_2d=True)
    _check_length(utterance, len(samples), place)
    waveform = np.ascontiguousarray(samples[:, 0])
    if not np.isfinite(waveform).all():
        raise DataError(f"{place}: the audio holds values that are not finite; replace the file.")
    return torch.from_numpy(waveform)


def _check_length(utterance: Utterance, samples: int, place: str) -> None:
    if utterance.samples < 1:
        raise DataError(
            f"{place}: its duration of {utterance.duration:g} s is less than a sample; correct it or leave the "
            "utterance out."
        )
    if samples < utterance.samples:
        fault = header_fault(utterance.audio_filepath) if utterance.audio_filepath.is_file() else None
        raise DataError(
            f"{place}: the file ends after {samples} of {utterance.samples} samples; "
            f"{fault or 'replace it if it is truncated, else correct the duration in the source'}."
        )
