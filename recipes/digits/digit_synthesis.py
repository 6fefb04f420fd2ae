"""Synthetic speech: eSpeak NG, which the package espeakng_loader carries with its voices, called through ctypes.

eSpeak NG is published under the GPL and not part of this package: `pip install 'asr[digits]'` brings it.
"""

import ctypes
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torchaudio.transforms import Resample

from asr.common.errors import DataError
from asr.common.processes import map_blocks

Samples = npt.NDArray[np.float32]

# speak_lib.h of eSpeak NG
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_BY_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_NO_MORE_EVENTS, _WORD_BEGINS = 0, 1


class _Event(ctypes.Structure):
    """espeak_EVENT."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))

_BLOCK = 100


@dataclass(frozen=True, slots=True)
class Voice:
    """An accent spoken with a timbre, as eSpeak NG names them: en-gb-scotland and f2."""

    accent: str
    variant: str

    def __str__(self) -> str:
        return f"{self.accent}+{self.variant}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: its text, its voice and its recording conditions."""

    id: str
    """Names the file."""
    text: str
    """What the synthesizer reads; commas make pauses."""
    voice: Voice
    words_per_minute: int
    """80 to 450."""
    pitch: int
    """0 to 100; 50 is the voice's own."""
    pitch_range: int
    """0 (monotonous) to 100."""
    silence: tuple[float, float]
    """Before and after the speech (s)."""
    snr_db: float
    """Power of the speech above that of the noise (dB)."""
    noise_slope: float
    """The noise's power falls with this power of the frequency: 0 is white, 1 pink, 2 brown."""
    noise_seed: int
    peak: float
    """Highest sample, 1 being full scale."""


@dataclass(frozen=True)
class Speech:
    """What the synthesizer said."""

    samples: Samples
    """In [-1, 1], at the synthesizer's own rate, (samples,)."""
    word_starts: tuple[int, ...]
    """The sample with which each word begins, as the synthesizer tells it."""


def synthesize(prompts: Sequence[Prompt], folder: Path, sampling_rate: int) -> list[tuple[float, ...]]:
    """Writes FOLDER/ID.wav (16 bits) for each prompt, on all cores; the same prompts give the same samples.

    Returns:
        When each word of each recording begins (s).

    Raises:
        DataError: eSpeak NG is not installed or lacks a voice, or a file cannot be written.
    """
    _load()
    jobs = [(prompt, folder / f"{prompt.id}.wav", sampling_rate) for prompt in prompts]
    # eSpeak NG carries state from one text to the next (the flutter of its voices), so each block gets a new process.
    return map_blocks(_write_block, jobs, _BLOCK, "Synthesizing", "utterances", fresh=True)


def record(prompt: Prompt, speech: Samples, sampling_rate: int) -> Samples:
    """Adds the silence and the noise that the prompt asks for to clean speech, shape (samples,)."""
    before, after = (round(seconds * sampling_rate) for seconds in prompt.silence)
    power = float(np.mean(np.square(speech))) / 10 ** (prompt.snr_db / 10)
    recording = np.pad(speech, (before, after))
    noise = coloured_noise(len(recording), prompt.noise_slope, prompt.noise_seed)
    recording = recording + noise * np.float32(np.sqrt(power))
    return np.asarray(recording * np.float32(prompt.peak / np.abs(recording).max()))


def coloured_noise(samples: int, slope: float, seed: int) -> Samples:
    """Gaussian noise of power 1 that falls with frequency**slope, shape (samples,)."""
    length = 1 << samples.bit_length()  # Fourier transforms of such lengths are fast
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-slope / 2)
    noise = np.fft.irfft(spectrum)[:samples]
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))), dtype=np.float32)


def _write_block(jobs: Sequence[tuple[Prompt, Path, int]]) -> Sequence[tuple[float, ...]]:
    synthesizer = Synthesizer()
    starts = []
    for prompt, path, sampling_rate in jobs:
        speech = synthesizer.speak(prompt)
        resampled = _resampler(synthesizer.sampling_rate, sampling_rate)(torch.from_numpy(speech.samples))
        recording = record(prompt, resampled.numpy(), sampling_rate)
        silence = round(prompt.silence[0] * sampling_rate) / sampling_rate
        starts.append(tuple(round(silence + start / synthesizer.sampling_rate, 4) for start in speech.word_starts))
        try:
            soundfile.write(path, recording, sampling_rate, subtype="PCM_16")
        except soundfile.LibsndfileError as error:
            raise DataError(f"The speech cannot be written ({error}): make room or set paths.data elsewhere.") from None
    return starts


@functools.cache
def _resampler(old: int, new: int) -> Resample:
    return Resample(old, new)


class Synthesizer:
    """eSpeak NG in this process; its output depends on what it synthesized before.

    Raises:
        DataError: eSpeak NG is not installed.
    """

    def __init__(self) -> None:
        loader = _load()
        self._variants = Path(loader.get_data_path()) / "voices" / "!v"
        self._library: Any = ctypes.CDLL(loader.get_library_path())
        self._spoken: list[bytes] = []
        self._word_starts: list[int] = []
        self._callback = _CALLBACK(self._take)  # must live as long as the library may call it
        self.sampling_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, os.fsencode(loader.get_data_path()), _DONT_EXIT
        )
        if self.sampling_rate <= 0:
            raise DataError(f"eSpeak NG cannot read its voices in {loader.get_data_path()}: reinstall espeakng_loader.")
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))

    def speak(self, prompt: Prompt) -> Speech:
        """Clean speech.

        Raises:
            DataError: eSpeak NG lacks the voice.
        """
        voice = prompt.voice
        # An unknown variant would silently become the plain accent.
        known = (self._variants / voice.variant).is_file()
        if not known or self._library.espeak_SetVoiceByName(str(voice).encode()) != 0:
            raise DataError(
                f"Prompt {prompt.id}: eSpeak NG has no voice {voice}; choose one that `espeak-ng --voices` lists."
            )
        for parameter, value in (
            (_RATE, prompt.words_per_minute),
            (_PITCH, prompt.pitch),
            (_RANGE, prompt.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        text = prompt.text.encode()
        self._spoken.clear()
        self._word_starts.clear()
        status = self._library.espeak_Synth(text, len(text) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        if status != 0 or not self._spoken:
            raise DataError(f"Prompt {prompt.id}: eSpeak NG cannot say {prompt.text!r} (status {status}).")
        samples = np.frombuffer(b"".join(self._spoken), dtype=np.int16).astype(np.float32) / np.float32(32768)
        return Speech(samples, tuple(self._word_starts))

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if count > 0:
            self._spoken.append(ctypes.string_at(samples, 2 * count))
        number = 0
        while events and events[number].type != _NO_MORE_EVENTS:
            if events[number].type == _WORD_BEGINS:
                self._word_starts.append(events[number].sample)
            number += 1
        return 0


def _load() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError:
        raise DataError("eSpeak NG, which speaks this corpus, is not installed: pip install 'asr[digits]'.") from None
    loader: ModuleType = espeakng_loader
    return loader
