"""Random numbers as pure functions of a seed and a key: there is no generator state to keep.

The mixing function is SplitMix64's finalizer (Steele, Lea & Flood, "Fast splittable
pseudorandom number generators", 2014).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def key_of(text: str) -> int:
    """A 64-bit key of a text, such as an utterance id or the name of a stream of draws."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def keys_of(texts: Sequence[str]) -> Keys:
    """The 64-bit keys of texts, shape (texts,)."""
    return np.fromiter((key_of(text) for text in texts), dtype=np.uint64, count=len(texts))


def derive_seed(*parts: int | str) -> int:
    """One 64-bit seed from several parts, in order."""
    state = 0
    for part in parts:
        number = key_of(part) if isinstance(part, str) else part & _MASK
        state = int(_finalize(np.array([(state * _GOLDEN + number) & _MASK], dtype=np.uint64))[0])
    return state


def uniform(keys: Keys, *parts: int | str) -> npt.NDArray[np.float64]:
    """One draw from [0, 1) for each key, a pure function of the key and the parts.

    Args:
        keys: Shape (keys,), as made by `keys_of`.
        parts: What distinguishes this draw from others: the name of the stream, the seed, the epoch, a counter.
    """
    bits = _finalize(keys ^ np.uint64(derive_seed(*parts)))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Draws:
    """The draws of utterances in one epoch, by name."""

    keys: Keys
    """Of the utterances, shape (utterances,), as made by `keys_of`."""
    seed: int
    epoch: int

    def __call__(self, *names: int | str) -> npt.NDArray[np.float64]:
        """One draw from [0, 1) for each utterance, shape (utterances,)."""
        return uniform(self.keys, *names, self.seed, self.epoch)


def _finalize(state: Keys) -> Keys:
    state = state + np.uint64(_GOLDEN)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
