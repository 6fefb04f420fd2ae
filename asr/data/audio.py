"""Reading audio: exactly the samples that the manifest promises, or a sentence that says what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
import torch
from torch import Tensor

from asr.data.utterance import Utterance
from asr.errors import DataError


def read_waveform(utterance: Utterance) -> Tensor:
    """Reads the samples of an utterance in any format that libsndfile knows (WAV, FLAC, NIST SPHERE, Ogg, MP3).

    Returns:
        float32 in [-1, 1], shape (samples,).

    Raises:
        DataError: The file is missing, cannot be decoded, holds fewer samples than the manifest says, more than one
            channel, or another sampling rate.
    """
    with _opened(utterance) as file:
        samples = file.read(utterance.samples, dtype="float32", always_2d=True)
    _check_length(utterance, len(samples))
    waveform = np.ascontiguousarray(samples[:, 0])
    if not np.isfinite(waveform).all():
        raise DataError(f"{_place(utterance)}: the audio holds values that are not finite; replace the file.")
    return torch.from_numpy(waveform)


def check_header(utterance: Utterance) -> None:
    """Compares the header of an utterance's file with the manifest, without decoding the audio.

    Raises:
        DataError: As `read_waveform`, as far as the header can tell.
    """
    with _opened(utterance):
        pass


@contextmanager
def _opened(utterance: Utterance) -> Iterator[soundfile.SoundFile]:
    """The file of an utterance at its first sample."""
    path, place = utterance.audio_filepath, _place(utterance)
    try:
        if not path.is_file():
            raise DataError(f"{place}: the audio file is missing; put it back or leave the utterance out.")
        with soundfile.SoundFile(path) as file:
            if file.samplerate != utterance.sampling_rate:
                raise DataError(
                    f"{place}: the file has {file.samplerate} Hz, the manifest says {utterance.sampling_rate} Hz; "
                    "replace the file or correct the manifest."
                )
            if file.channels != 1:
                raise DataError(f"{place}: the file has {file.channels} channels; convert it to one.")
            start = min(round(utterance.offset * file.samplerate), file.frames)
            _check_length(utterance, file.frames - start)
            file.seek(start)
            yield file
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{place}: the audio cannot be decoded ({error}); replace the file or drop it.") from None


def _check_length(utterance: Utterance, samples: int) -> None:
    if samples < utterance.samples:
        raise DataError(
            f"{_place(utterance)}: the file ends after {samples} of {utterance.samples} samples; "
            "it is cut short, replace it."
        )


def _place(utterance: Utterance) -> str:
    return f"Utterance {utterance.id} ({utterance.audio_filepath})"
