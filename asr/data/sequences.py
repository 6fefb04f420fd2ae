"""Sequences of utterances that are read lazily: a corpus of millions is arrays of numbers and positions in files.

They can be used wherever a sequence of utterances is expected. Durations and keys, which batch planning needs of all
utterances, are arrays.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from asr.common.seeds import Keys, keys_of
from asr.data.utterance import Utterance

Seconds = npt.NDArray[np.float64]


class LazyUtterances(Sequence[Utterance]):
    """Utterances that are read when they are accessed."""

    @property
    @abstractmethod
    def seconds(self) -> Seconds:
        """Durations (s), shape (utterances,)."""

    @property
    @abstractmethod
    def keys(self) -> Keys:
        """Keys of the ids, as `keys_of` makes them, shape (utterances,)."""

    @abstractmethod
    def read(self, number: int) -> Utterance:
        """The utterance with a number, counted from 0."""

    @overload
    def __getitem__(self, number: int) -> Utterance: ...

    @overload
    def __getitem__(self, number: slice) -> list[Utterance]: ...

    def __getitem__(self, number: int | slice) -> Utterance | list[Utterance]:
        if isinstance(number, slice):
            return [self.read(one) for one in range(*number.indices(len(self)))]
        number = int(number)
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        return self.read(number % len(self))

    def __iter__(self) -> Iterator[Utterance]:
        return map(self.read, range(len(self)))


class Joined(LazyUtterances):
    """Several sequences, concatenated."""

    def __init__(self, parts: Sequence[Sequence[Utterance]]) -> None:
        self.parts = parts
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def seconds(self) -> Seconds:
        return np.concatenate([seconds_of(part) for part in self.parts])

    @property
    def keys(self) -> Keys:
        return np.concatenate([id_keys(part) for part in self.parts])

    def read(self, number: int) -> Utterance:
        place = int(np.searchsorted(self._ends, number, "right"))
        return self.parts[place][number - int(self._ends[place]) + len(self.parts[place])]


class Picked(LazyUtterances):
    """Utterances of a sequence by their numbers, in any order and also repeated."""

    def __init__(self, utterances: Sequence[Utterance], numbers: npt.NDArray[np.int64]) -> None:
        self.utterances, self.numbers = utterances, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def seconds(self) -> Seconds:
        return seconds_of(self.utterances)[self.numbers]

    @property
    def keys(self) -> Keys:
        return id_keys(self.utterances)[self.numbers]

    def read(self, number: int) -> Utterance:
        return self.utterances[int(self.numbers[number])]


class Field(Sequence[str]):
    """One field of all utterances, read when it is accessed."""

    def __init__(self, utterances: Sequence[Utterance], name: str) -> None:
        self.utterances, self.name = utterances, name

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [getattr(one, self.name) for one in self.utterances[number]]
        return getattr(self.utterances[number], self.name)

    def __iter__(self) -> Iterator[str]:
        return (getattr(one, self.name) for one in self.utterances)


def joined(parts: Sequence[Sequence[Utterance]]) -> Sequence[Utterance]:
    """Several sequences as one: a list, unless one of them is lazy."""
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, LazyUtterances) for part in parts):
        return Joined(parts)
    return [utterance for part in parts for utterance in part]


def seconds_of(utterances: Sequence[Utterance]) -> Seconds:
    """Durations (s), shape (utterances,)."""
    if isinstance(utterances, LazyUtterances):
        return utterances.seconds
    return np.array([utterance.duration for utterance in utterances], dtype=np.float64)


def id_keys(utterances: Sequence[Utterance]) -> Keys:
    """Keys of the ids, shape (utterances,)."""
    if isinstance(utterances, LazyUtterances):
        return utterances.keys
    return keys_of([utterance.id for utterance in utterances])
