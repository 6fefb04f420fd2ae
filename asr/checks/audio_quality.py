"""What is wrong with the audio of an utterance: its header, silence, clipping, noise, swapped bytes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from asr.checks.findings import Problem, error, warning
from asr.common.errors import DataError
from asr.data.audio import FILES, Audio, AudioFiles
from asr.data.headers import count_samples, header_fault, header_warning
from asr.data.utterance import Utterance

Samples = npt.NDArray[np.float32]

SILENT_PEAK = 2 / 32768
"""Digital silence, dithered or not."""
FAINT_RMS = 10 ** (-60 / 20)
CLIPPED_SHARE = 1e-3
"""Of the samples, in runs at the extreme."""
CLIPPED_RUN = 3
"""Samples."""
OFFSET = 0.01
"""Of full scale; AN4's worst file, which is audibly so, has 0.011."""
OFFSET_TO_RMS = 0.25
DEAD_SHARE = 0.5
"""Of an utterance: one run of zeros, as from a lost connection."""
FULL_SCALE_RMS = 0.2
WHITE_LAG = 0.15
"""Correlation of neighboring samples below which there is only noise; of speech at 8 and 16 kHz it is 0.3 to 0.98."""
STEADY = 0.25
"""Spread of the level between twenty parts of an utterance, against its mean; of speech it is above 0.5."""
LONGER_SECONDS = 0.1
DURATION = "duration"
"""The kind of a file that is longer than the manifest says."""


@dataclass(frozen=True, slots=True)
class AudioCheck:
    """What the check of an utterance's audio found."""

    fault: str | None
    """Why it cannot be read."""
    digest: bytes | None
    """Of the samples, where they were decoded."""
    problems: tuple[Problem, ...] = ()


def check_audio(utterance: Utterance, audio: Audio = FILES) -> AudioCheck:
    """Decodes an utterance and measures it."""
    try:
        samples = audio.read(utterance).numpy()
    except DataError as fault:
        return AudioCheck(str(fault), None)
    digest = hashlib.blake2b(samples.tobytes(), digest_size=16).digest()
    of_duration = duration_problems(utterance) if isinstance(audio, AudioFiles) else ()
    return AudioCheck(None, digest, (*header_problems(utterance, audio), *of_duration, *signal_problems(samples)))


def header_problems(utterance: Utterance, audio: Audio) -> Iterator[Problem]:
    """An error where the header of the file is wrong, a warning where there is more audio than it counts."""
    if not isinstance(audio, AudioFiles):
        return
    if fault := header_fault(utterance.audio_filepath):
        yield error("header", f"{fault}.")
    elif fault := header_warning(utterance.audio_filepath):
        yield warning("header", f"{fault}.")


def duration_problems(utterance: Utterance) -> Iterator[Problem]:
    """A warning where the file is longer than the manifest says."""
    if utterance.offset:
        return
    path = utterance.audio_filepath
    seconds = count_samples(path, soundfile.info(path).frames) / utterance.sampling_rate
    if seconds - utterance.duration > max(LONGER_SECONDS, 0.02 * seconds):
        yield warning(
            DURATION,
            f"the manifest says {utterance.duration:.2f} s, the file has {seconds:.2f} s; correct the duration, "
            "or the rest is never used.",
        )


def signal_problems(samples: Samples) -> Iterator[Problem]:
    """What is wrong with samples in [-1, 1], shape (samples,): only the most serious."""
    wide = samples.astype(np.float64)
    peak, mean = float(np.abs(wide).max()), float(wide.mean())
    rms = float(np.sqrt(np.square(wide).mean()))
    if peak <= SILENT_PEAK:
        yield error("silent", "it contains only silence; replace the file or leave the utterance out.")
    elif _other_byte_order(samples, rms):
        yield error(
            "byte order",
            "its bytes are swapped, so that speech became noise; convert the file, or correct the byte order in its "
            "header.",
        )
    elif _white(wide, rms):
        yield warning("noise", "it looks like steady white noise; listen to it, and leave it out if it is.")
    elif rms < FAINT_RMS:
        yield warning("faint", f"its level is {20 * np.log10(rms):.0f} dBFS; was the microphone off?")
    elif (share := _clipped_share(samples, peak)) > CLIPPED_SHARE:
        yield warning("clipped", f"{100 * share:.1f} % of its samples are clipped; record it at a lower level.")
    elif abs(mean) > OFFSET and abs(mean) > OFFSET_TO_RMS * rms:
        yield warning("DC offset", f"its mean is {mean:.3f} of full scale, not 0; apply a high-pass filter.")
    elif (share := _longest_run(wide == 0) / len(wide)) > DEAD_SHARE:
        yield warning("dropout", f"{100 * share:.0f} % of it is one run of zeros; is the recording complete?")


def _other_byte_order(samples: Samples, rms: float) -> bool:
    """Whether swapping the bytes of 16-bit samples, or shifting them by one, turns noise into soft and smooth sound.

    The low byte of speech is as good as random: read as the high one, it is white noise near full scale.
    """
    if rms < FULL_SCALE_RMS:
        return False
    read = np.round(samples * 32768).clip(-32768, 32767).astype("<i2")
    if not np.array_equal(read.astype(np.float32) / 32768, samples):
        return False  # not of 16 bits
    roughness = _roughness(read)
    candidates = (read.byteswap(), np.frombuffer(read.tobytes()[1:-1], "<i2"))
    return any(
        _roughness(other) < 0.9 * roughness and float(other.astype(np.float64).std()) < 0.5 * float(read.std())
        for other in candidates
        if len(other) > 1
    )


def _roughness(samples: npt.NDArray[np.int16]) -> float:
    """Energy of the differences of neighbors against that of the samples: 2 for white noise, near 0 for speech."""
    wide = samples.astype(np.float64)
    wide -= wide.mean()
    differences = np.diff(wide)
    return float(differences @ differences) / max(float(wide @ wide), 1e-9)


def _white(samples: npt.NDArray[np.float64], rms: float) -> bool:
    centered = samples - samples.mean()
    energy = float(centered @ centered)
    if len(samples) < 2000 or rms < FAINT_RMS or energy == 0:
        return False
    levels = np.sqrt([np.square(part).mean() for part in np.array_split(centered, 20)])
    correlation = max(abs(float(centered[lag:] @ centered[:-lag])) / energy for lag in (1, 2, 3))
    return correlation < WHITE_LAG and float(levels.std()) < STEADY * float(levels.mean())


def _clipped_share(samples: Samples, peak: float) -> float:
    """The share of samples that stay at the extreme for several in a row."""
    if peak < 0.25:
        return 0.0
    total = 0
    for flat in (samples >= 0.999 * peak, samples <= -0.999 * peak):
        if flat.any():
            edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.view(np.int8), [0]])))
            runs = edges[1::2] - edges[::2]
            total += int(runs[runs >= CLIPPED_RUN].sum())
    return total / len(samples)


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.view(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
