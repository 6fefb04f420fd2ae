"""Resampling: torchaudio's filter, in bounded memory whatever the rates.

torchaudio keeps a filter for each phase between two rates. They are few where the rates have a large common divisor, as
the usual ones do; from 44101 Hz to 16000 Hz they would fill gigabytes, so there each output is computed by the formula.
"""

import functools
import math
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchaudio.transforms import Resample

from asr.common.errors import DataError

Samples = npt.NDArray[np.float32]

WIDTH = 6
"""Half-length of torchaudio's filter in zero crossings, and its cut-off as a share of the lower Nyquist frequency."""
ROLLOFF = 0.99
LARGEST_KERNEL = 1 << 24
"""Coefficients of the filters of all phases."""
AT_ONCE = 1 << 20
"""Coefficients that are computed at once where the filters are not kept."""
LOWEST_RATE = 1000


def has_few_phases(old: int, new: int, width: int = WIDTH) -> bool:
    """Whether torchaudio's filters between two rates fit into memory."""
    step_in, step_out = _steps(old, new)
    return step_out * (2 * math.ceil(_reach(old, new, width)) + step_in) <= LARGEST_KERNEL


def check_rate(rate: int, name: str) -> None:
    """Refuses what no recording of speech has: at a few samples per second a small file would be a huge one.

    Raises:
        DataError: The rate of the file of this name is too low.
    """
    if rate < LOWEST_RATE:
        raise DataError(f"{name}: its sampling rate is {rate} Hz, below {LOWEST_RATE} Hz; replace the file.")


def resampled(waveform: Tensor, old: int, new: int, width: int = WIDTH) -> Tensor:
    """A waveform, float32 (samples,), at another rate: as torchaudio's Resample gives it."""
    if old == new:
        return waveform
    if not has_few_phases(old, new, width):
        return torch.from_numpy(np.concatenate([*_by_formula([waveform.numpy()], old, new, width)]))
    result: Tensor = _resampler(old, new, width)(waveform)
    return result


def resample(blocks: Iterable[Samples], old: int, new: int, name: str) -> Iterator[Samples]:
    """Resamples blocks of any size, (samples,) each, with the result of torchaudio's Resample for the whole.

    Raises:
        DataError: The rate of the recording of this name is too low.
    """
    check_rate(old, name)
    return _by_phases(blocks, old, new) if has_few_phases(old, new) else _by_formula(blocks, old, new)


def _by_phases(blocks: Iterable[Samples], old: int, new: int) -> Iterator[Samples]:
    resampler = _resampler(old, new, WIDTH)
    step_in, step_out = _steps(old, new)
    # Samples that an output depends on at each side, rounded up to whole steps.
    reach = (-(-resampler.width // step_in) + 1) * step_in
    waiting = np.zeros(reach, dtype=np.float32)  # as the whole is padded with zeros
    received = given = 0

    def ready(samples: Samples, steps: int) -> Samples:
        piece: Samples = resampler(torch.from_numpy(samples[: 2 * reach + steps * step_in])).numpy()
        begin = reach // step_in * step_out
        return piece[begin : begin + steps * step_out]

    for block in blocks:
        received += len(block)
        waiting = np.concatenate([waiting, block])
        steps = (len(waiting) - 2 * reach) // step_in
        if steps > 0:
            yield ready(waiting, steps)
            waiting, given = waiting[steps * step_in :], given + steps * step_out
    left = -(-received * step_out // step_in) - given
    steps = -(-left // step_out)
    if left > 0:
        waiting = np.pad(waiting, (0, max(0, 2 * reach + steps * step_in - len(waiting))))
        yield ready(waiting, steps)[:left]


def _by_formula(blocks: Iterable[Samples], old: int, new: int, width: int = WIDTH) -> Iterator[Samples]:
    """The same filter, a sinc under a Hann window, whose coefficients are computed for each output."""
    step_in, step_out = _steps(old, new)
    cutoff = ROLLOFF * min(1.0, new / old)  # as a share of the input's Nyquist frequency
    reach = math.ceil(_reach(old, new, width)) + 1
    taps = np.arange(-reach, reach + 1)

    def computed(samples: Samples, first: int, outputs: npt.NDArray[np.int64]) -> Samples:
        """Outputs from samples of which the first has this number."""
        whole, rest = np.divmod(outputs * step_in, step_out)
        distance = np.clip((taps - (rest / step_out)[:, None]) * cutoff, -width, width)
        coefficients = np.sinc(distance) * np.cos(distance * (math.pi / width / 2)) ** 2 * cutoff
        found: Samples = (samples[whole[:, None] + taps - first] * coefficients).sum(axis=1).astype(np.float32)
        return found

    waiting, first = np.zeros(reach, dtype=np.float32), -reach  # as the whole is padded with zeros
    received = given = 0
    for block in chain(blocks, [None]):
        if block is None:
            waiting = np.pad(waiting, (0, reach + 1))
            ready = -(-received * step_out // step_in)
        else:
            waiting, received = np.concatenate([waiting, block]), received + len(block)
            ready = max(given, (received - reach) * step_out // step_in)
        most = max(1, AT_ONCE // len(taps))
        for begin in range(given, ready, most):
            yield computed(waiting, first, np.arange(begin, min(begin + most, ready)))
        given = ready
        kept = given * step_in // step_out - reach
        waiting, first = waiting[kept - first :], kept


def _steps(old: int, new: int) -> tuple[int, int]:
    """Samples in and out after which the phases repeat."""
    return old // math.gcd(old, new), new // math.gcd(old, new)


def _reach(old: int, new: int, width: int) -> float:
    """Samples at either side that an output depends on."""
    return width * max(1.0, old / new) / ROLLOFF


@functools.cache
def _resampler(old: int, new: int, width: int) -> Resample:
    return Resample(old, new, lowpass_filter_width=width)
