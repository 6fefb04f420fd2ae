"""Noises that are computed: for training and dev those of TRAINING, for test other kinds, those of HELD_OUT.

Each is a pure function of a generator of random numbers, float32 (samples,), with a mean square of 1.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float64]
Maker = Callable[[np.random.Generator, int, int], Sound]


def make_noise(kind: str, generator: np.random.Generator, samples: int, rate: int) -> npt.NDArray[np.float32]:
    """Some seconds of a noise."""
    sound = {**TRAINING, **HELD_OUT}[kind](generator, samples, rate)
    return (sound / np.sqrt(np.mean(np.square(sound)) + 1e-12)).astype(np.float32)


def shaped(generator: np.random.Generator, samples: int, gain: Callable[[Sound], Sound], rate: int) -> Sound:
    """Gaussian noise with the gain of a function of the frequency (Hz)."""
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    return np.fft.irfft(spectrum * gain(np.maximum(np.fft.rfftfreq(samples, 1 / rate), 20.0)), samples)


def coloured(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """White to brown noise."""
    slope = generator.uniform(0, 1)
    return shaped(generator, samples, lambda hertz: hertz**-slope, rate)


def hum(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Mains and its harmonics, with a little noise."""
    time, mains = np.arange(samples) / rate, generator.choice([50.0, 60.0])
    tones = [
        generator.uniform(0, 1) / order * np.sin(2 * np.pi * order * mains * time + generator.uniform(0, 6))
        for order in range(1, 20)
    ]
    return np.sum(tones, axis=0) + 0.1 * coloured(generator, samples, rate)


def fan(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Noise around a few frequencies that swells with the blades."""
    centres, time = generator.uniform(100, 3000, size=4), np.arange(samples) / rate
    noise = shaped(
        generator, samples, lambda hertz: sum(np.exp(-np.square(np.log2(hertz / one)) / 0.5) for one in centres), rate
    )
    return noise * (1 + generator.uniform(0.1, 0.6) * np.sin(2 * np.pi * generator.uniform(2, 25) * time))


def chords(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """An organ that changes its chord every half to two seconds, over a drum."""
    sound, place = np.zeros(samples), 0
    while place < samples:
        length = min(int(generator.uniform(0.4, 2.0) * rate), samples - place)
        time, root = np.arange(length) / rate, 55 * 2 ** (generator.integers(0, 36) / 12)
        for step in generator.choice([(0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 4, 7)]):
            for order in range(1, 7):
                pitch = order * root * 2 ** (step / 12)
                sound[place : place + length] += np.sin(2 * np.pi * pitch * time + generator.uniform(0, 6)) / order
        sound[place : place + length] *= np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
        hit = min(int(0.1 * rate), length)
        sound[place : place + hit] += 3 * generator.standard_normal(hit) * np.exp(-np.arange(hit) / (0.02 * rate))
        place += length
    return sound


def clicks(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Keys, doors and steps: bursts at random times."""
    sound = 0.02 * coloured(generator, samples, rate)
    for place in generator.integers(0, samples, size=max(1, int(samples / rate * generator.uniform(1, 6)))):
        length = min(int(generator.uniform(0.005, 0.15) * rate), samples - place)
        sound[place : place + length] += (
            generator.uniform(0.3, 1) * generator.standard_normal(length) * np.exp(-4 * np.arange(length) / length)
        )
    return sound


def sweeps(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Tones that glide, one after the other."""
    sound, place = np.zeros(samples), 0
    while place < samples:
        length = min(int(generator.uniform(0.1, 1.5) * rate), samples - place)
        pitch = np.geomspace(*generator.uniform(200, 4000, size=2), length)
        sound[place : place + length] = np.sin(2 * np.pi * np.cumsum(pitch) / rate) * generator.choice([0, 1, 1])
        place += length
    return sound + 0.02 * coloured(generator, samples, rate)


def plucked(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Guitar strings: noise in a loop that loses its treble (Karplus and Strong, 1983), here by its harmonics."""
    sound = np.zeros(samples)
    beat = int(generator.uniform(0.15, 0.4) * rate)
    for place in range(0, samples, beat):
        length = min(3 * beat, samples - place)
        time, pitch = np.arange(length) / rate, 82 * 2 ** (generator.choice([0, 3, 5, 7, 10, 12, 15, 17, 19, 24]) / 12)
        for order in range(1, 12):
            fading = np.exp(-time * (1.5 + 0.8 * order))
            sound[place : place + length] += fading * np.sin(2 * np.pi * order * pitch * time) / order
    return sound


def engine(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """A motor whose speed wanders: pulses through the resonances of its body."""
    seconds = samples / rate
    speeds = generator.uniform(25, 90, size=int(seconds) + 2)
    steps = np.interp(np.arange(samples) / rate, np.arange(len(speeds)), speeds)
    pulses = np.diff(np.floor(np.cumsum(steps) / rate), prepend=0) + 0.05 * generator.standard_normal(samples)
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / rate), 20.0)
    body = sum(np.exp(-np.square(np.log2(hertz / one)) / 0.2) for one in generator.uniform(80, 1500, size=4))
    return np.fft.irfft(np.fft.rfft(pulses) * body, samples)


def rain(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Hundreds of drops a second on something hard."""
    drops = np.where(generator.uniform(size=samples) < 400 / rate, generator.exponential(size=samples), 0)
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / rate), 20.0)
    return np.fft.irfft(np.fft.rfft(drops - drops.mean()) * np.exp(-np.square(np.log2(hertz / 2500)) / 2), samples)


def bells(generator: np.random.Generator, samples: int, rate: int) -> Sound:
    """Bells and telephones: partials in no simple ratio."""
    sound = np.zeros(samples)
    for place in range(0, samples, int(generator.uniform(0.3, 1.2) * rate)):
        time, strike = np.arange(samples - place) / rate, generator.uniform(300, 1500)
        for ratio in (0.5, 1, 1.19, 1.56, 2, 2.51, 3.01):
            sound[place:] += np.exp(-time * generator.uniform(1, 4)) * np.sin(2 * np.pi * ratio * strike * time) / ratio
    return sound


TRAINING: dict[str, Maker] = {
    "coloured": coloured, "hum": hum, "fan": fan, "chords": chords, "clicks": clicks, "sweeps": sweeps,
}  # fmt: skip
HELD_OUT: dict[str, Maker] = {"plucked": plucked, "engine": engine, "rain": rain, "bells": bells}
