"""Recordings of any format, rate, number of channels and length, block by block at the sampling rate of a model."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asr.common.errors import DataError
from asr.data.audio_paths import for_libsndfile, foreign
from asr.data.headers import UNKNOWN_SAMPLES, header_fault, header_warning
from asr.data.resampling import Samples, resample

STANDARD_INPUT = Path("-")
BLOCK_SECONDS = 5.0
MOST_SAMPLES = 1 << 22
"""Of a block, whatever rate a file claims."""
CANCELLED = 0.01
"""Share of the energy of channels that their mean at least has, unless they are of opposite phase; it is 0.5 of two
independent ones."""
NEARLY_SILENT = 0.05
"""Below it (of full scale) FFmpeg's mean is compared with the first channel."""
ENDED_EARLY = ("partial file", "ended prematurely")
"""What FFmpeg says, with exit code 0, of a file that goes on according to its header."""
OPPOSITE_PHASE = (
    "{}: its channels are of opposite phase, so that their mean is all but silent; take one of them, as with "
    "`ffmpeg -i FILE -af 'pan=mono|c0=c0' FIXED.wav`."
)


@dataclass(frozen=True)
class Recording:
    """A recording that is open."""

    blocks: Iterator[Samples]
    """float32, one channel, at the rate that was asked for, (samples,) each."""
    note: str | None
    """How it was converted; None where that was not necessary."""


@contextmanager
def open_recording(path: Path, sampling_rate: int) -> Iterator[Recording]:
    """Opens what libsndfile or, where it is installed, FFmpeg reads; `-` is standard input.

    Channels are averaged, other rates resampled; the note says so.

    Raises:
        DataError: There is no such file, or it is empty or not a recording; reading the blocks may raise it too.
    """
    if path == STANDARD_INPUT:
        with tempfile.NamedTemporaryFile(prefix="asr-input-") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            with _open(Path(copy.name), "standard input", sampling_rate) as recording:
                yield recording
    else:
        with _open(path, str(path), sampling_rate) as recording:
            yield recording


def recording_seconds(path: Path) -> float:
    """Length of a recording according to its header (s); 0 where it is unknown, as for standard input."""
    if path == STANDARD_INPUT:
        return 0.0  # libsndfile takes `-` for it too, and would consume it
    try:
        info = soundfile.info(for_libsndfile(path))
        return float(info.frames / info.samplerate) if info.frames < UNKNOWN_SAMPLES else 0.0
    except (soundfile.LibsndfileError, OSError, TypeError):
        return 0.0


@contextmanager
def _open(path: Path, name: str, sampling_rate: int) -> Iterator[Recording]:
    try:
        if not path.is_file():
            raise DataError(_no_file(path, name))
        if path.stat().st_size == 0:
            raise DataError(f"{name}: the file is empty; record it again.")
        try:
            file = soundfile.SoundFile(for_libsndfile(path))
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: raw samples without a header
            with _by_ffmpeg(path, name, sampling_rate, str(error)) as recording:
                yield recording
            return
        shown = None if name == str(path) else "FILE"
        with file:
            if fault := header_fault(path, shown):
                raise DataError(f"{name}: {fault}.")
            changes = [f"the mean of {file.channels} channels"] if file.channels > 1 else []
            blocks = _mono_blocks(file, name)
            if file.samplerate != sampling_rate:
                changes.append(f"{file.samplerate} Hz resampled to {sampling_rate} Hz")
                blocks = resample(blocks, file.samplerate, sampling_rate, name)
            if fault := header_warning(path, shown):
                changes.append(fault)
            yield Recording(blocks, f"{name}: {', '.join(changes)}" if changes else None)
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror}): allow it, or leave it out.") from None


def _no_file(path: Path, name: str) -> str:
    """What is wrong with a path at which there is no file."""
    if path.is_dir():
        return f"{name} is a folder, where a recording belongs: name a file in it."
    if path.exists():
        return f"{name} is a pipe or a device: write the audio to a file, or to standard input, whose name is -."
    fault = foreign(name)
    return f"{name} {fault}." if fault else f"{name}: there is no such file; correct the path."


class ChannelMean:
    """The mean of channels, block by block, and whether they cancel each other out.

    Args:
        name: Of the recording, for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._energy = self._energy_of_mean = 0.0

    def __call__(self, samples: Samples) -> Samples:
        """The mean of samples of shape (samples, channels), (samples,)."""
        mean: Samples = samples.mean(axis=1)
        if samples.shape[1] > 1:
            self._energy += float(np.square(samples, dtype=np.float64).mean(axis=1).sum())
            self._energy_of_mean += float(np.square(mean, dtype=np.float64).sum())
        return mean

    def check(self) -> None:
        """Looks at all that was averaged.

        Raises:
            DataError: The channels are of opposite phase.
        """
        if self._energy_of_mean < CANCELLED * self._energy:
            raise DataError(OPPOSITE_PHASE.format(self.name))


def _mono_blocks(file: soundfile.SoundFile, name: str) -> Iterator[Samples]:
    mean = ChannelMean(name)
    while True:
        try:
            samples = file.read(
                min(round(BLOCK_SECONDS * file.samplerate), MOST_SAMPLES), dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise DataError(f"{name}: the audio cannot be decoded ({error}); replace the file.") from None
        if not len(samples):
            mean.check()
            return
        yield _finite(mean(samples), name)


def _finite(samples: Samples, name: str) -> Samples:
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: the audio holds values that are not finite; replace the file.")
    return samples


@contextmanager
def _by_ffmpeg(path: Path, name: str, sampling_rate: int, why: str) -> Iterator[Recording]:
    """Decodes with FFmpeg what libsndfile cannot read."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise DataError(
            f"{name}: libsndfile cannot read it ({why.rstrip('.')}), and FFmpeg, which reads more formats, is not "
            "installed: install it, or convert the file, or leave it out."
        )
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            _command(program, path, sampling_rate, "-ac", "1"), stdout=subprocess.PIPE, stderr=said
        ) as process,
    ):
        assert process.stdout is not None
        read: Callable[[int], bytes] = process.stdout.read

        def blocks() -> Iterator[Samples]:
            loudest = 0.0
            while content := read(4 * round(BLOCK_SECONDS * sampling_rate)):
                samples = np.frombuffer(content[: len(content) // 4 * 4], dtype=np.float32)
                loudest = max(loudest, float(np.abs(samples).max(initial=0)))
                yield _finite(samples, name)
            failed = process.wait()
            said.seek(0)
            words = " ".join(said.read().decode(errors="replace").split())
            if failed:
                raise DataError(f"{name}: neither libsndfile nor FFmpeg can decode it ({words}); replace the file.")
            if any(sign in words for sign in ENDED_EARLY):
                raise DataError(f"{name}: it is truncated, as FFmpeg says ({words}); replace it.")
            if loudest < NEARLY_SILENT:
                first = _command(program, path, sampling_rate, "-af", "pan=mono|c0=c0", "-t", "600")
                channel = np.frombuffer(subprocess.run(first, stdout=subprocess.PIPE, check=False).stdout, np.float32)
                if loudest**2 < CANCELLED * float(np.abs(channel).max(initial=0)) ** 2:
                    raise DataError(OPPOSITE_PHASE.format(name))

        try:
            yield Recording(blocks(), f"{name}: decoded by FFmpeg to one channel of {sampling_rate} Hz")
        finally:
            process.kill()


def _command(program: str, path: Path, sampling_rate: int, *one_channel: str) -> list[str]:
    """Writes raw samples to standard output."""
    return [
        program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-i", f"file:{path}",
        "-map", "0:a:0", "-f", "f32le", *one_channel, "-ar", str(sampling_rate), "-",
    ]  # fmt: skip
