"""Rooms: simulated impulse responses from a speaker to a microphone, and reverberation with them."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchaudio.functional import highpass_biquad

SOUND = 343.0
"""Speed (m/s)."""
MIXING_SECONDS = 0.05
"""After this time reflections are so dense that decaying noise sounds the same (Polack, 1988)."""
DECAY = 6 * math.log(10)
"""Of the energy over the reverberation time: 60 dB, as a natural logarithm."""
LOWEST_HZ = 50.0
"""Reflections are pulses of one sign, which add up to a rumble below this frequency that is filtered out."""
SMALLEST, LARGEST = np.array([3.0, 3.0, 2.5]), np.array([10.0, 8.0, 4.0])
"""Length, width and height of rooms (m)."""
WALL = 0.5
"""Smallest distance from any wall (m)."""

Numbers = npt.NDArray[np.float64]
Draw = Callable[[str], float]
"""A draw from [0, 1) for a name."""


def simulate_room(draw: Draw, rt60_seconds: float, sampling_rate: int) -> Tensor:
    """The impulse response of a shoebox room whose size, speaker and microphone are drawn.

    Early reflections are images of the speaker in the walls (Allen and Berkley, "Image method for efficiently
    simulating small-room acoustics", 1979); late ones are noise that continues with their energy. The absorption of
    the walls follows from the reverberation time, in which it decays by 60 dB, by Eyring's formula (1930).

    Returns:
        float32, shape (samples,); the direct sound is its first pulse.
    """
    size = SMALLEST + (LARGEST - SMALLEST) * [draw("length"), draw("width"), draw("height")]
    inside = size - 2 * WALL
    speaker = WALL + inside * [draw(f"speaker {axis}") for axis in "xyz"]
    microphone = WALL + inside * [draw(f"microphone {axis}") for axis in "xyz"]
    volume, surface = float(size.prod()), 2 * float(size[0] * size[1] + size[1] * size[2] + size[2] * size[0])
    reflected = math.exp(-4 * DECAY * volume / (SOUND * surface * rt60_seconds))
    distances, reflections = _images(size, speaker, microphone, SOUND * MIXING_SECONDS)
    direct = float(np.linalg.norm(speaker - microphone))
    response = np.zeros(max(math.ceil((direct / SOUND + rt60_seconds) * sampling_rate), 1))
    places = np.round(distances / SOUND * sampling_rate).astype(np.int64)
    # A wall reflects this part of the energy, and its root of the amplitude.
    strengths = reflected ** (reflections / 2) / np.maximum(distances, WALL)
    known = places < len(response)
    np.add.at(response, places[known], strengths[known])
    first = min(round(max(MIXING_SECONDS, direct / SOUND) * sampling_rate), len(response))
    seconds = np.arange(first, len(response)) / sampling_rate
    # 4 pi c^3 t^2 / V images arrive per second, each with the energy 1 / (c t)^2.
    energy = 4 * math.pi * SOUND / (volume * sampling_rate) * np.exp(-DECAY * seconds / rt60_seconds)
    noise = np.random.default_rng(int(draw("tail") * 2**53)).standard_normal(len(seconds))
    response[first:] += noise * np.sqrt(energy)
    rumbling = torch.from_numpy(response[int(direct / SOUND * sampling_rate) :])
    clean: Tensor = highpass_biquad(rumbling, sampling_rate, LOWEST_HZ)
    return clean.float()


def reverberate(waveform: Tensor, response: Tensor) -> Tensor:
    """A waveform convolved with an impulse response, at its own level and without delay of the direct sound, which is
    the highest peak of the response. It stays of shape (samples,): the tail after the end is cut off."""
    direct = int(response.abs().argmax())
    # Fourier transforms are fast at powers of two.
    size = 1 << (len(waveform) + len(response)).bit_length()
    product = torch.fft.rfft(waveform, size) * torch.fft.rfft(response, size)
    reverberant: Tensor = torch.fft.irfft(product, size)[direct : direct + len(waveform)]
    power = reverberant.square().mean()
    level = (waveform.square().mean() / power).sqrt() if power > 0 else torch.ones(())
    return reverberant * level


def _images(size: Numbers, speaker: Numbers, microphone: Numbers, reach: float) -> tuple[Numbers, Numbers]:
    """Distances (m) of the images of a speaker within reach, and the number of reflections of each."""
    axes, counts = [], []
    for length, source, place in zip(size, speaker, microphone, strict=True):
        most = math.ceil(reach / (2 * length)) + 1
        order = np.arange(-most, most + 1)
        axes.append(np.concatenate([2 * order * length + source, 2 * order * length - source]) - place)
        counts.append(np.concatenate([np.abs(2 * order), np.abs(2 * order - 1)]))
    x, y, z = np.ix_(*axes)
    distances = np.sqrt(x**2 + y**2 + z**2)
    across, along, up = np.ix_(*counts)
    reflections = (across + along + up).astype(np.float64)
    near = (distances < reach) | (reflections == 0)
    return distances[near], reflections[near]
