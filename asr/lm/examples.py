"""Sentences as the training examples of a recurrent language model."""

from array import array
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.common.seeds import keys_of
from asr.lm.recurrent import BOUNDARY
from asr.text.protocol import Tokenizer


class TextExamples:
    """Numbered sentences; see `asr.batching.loader.Examples`. Their sizes are tokens, with the ends of sentences.

    All are in one array, in which each boundary ends a sentence and begins the next.

    Args:
        sentences: Texts.
        tokenizer: Encodes them.

    Raises:
        DataError: A text cannot be written with these tokens.
    """

    def __init__(self, sentences: Iterable[str], tokenizer: Tokenizer) -> None:
        tokens, ends = array("i", [BOUNDARY]), array("q", [0])
        for sentence in sentences:
            if encoded := tokenizer.encode(sentence):
                tokens.extend(encoded)
                tokens.append(BOUNDARY)
                ends.append(len(tokens) - 1)
        self.tokens = np.frombuffer(tokens, dtype=np.int32)
        self._ends = np.frombuffer(ends, dtype=np.int64)
        self.ids = [f"sentence {number}" for number in range(1, len(self._ends))]
        self.keys = keys_of(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __call__(self, number: int, epoch: int) -> Tensor:
        """A boundary and the tokens of a sentence, int64 (length,)."""
        start, end = self._ends[number : number + 2]
        return torch.from_numpy(self.tokens[start:end].astype(np.int64))

    def in_epoch(self, epoch: int) -> None:
        """All are read in every epoch."""

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Tokens of each sentence and its end, shape (sentences,)."""
        return np.diff(self._ends).astype(np.float64)

    def sentence(self, number: int) -> list[int]:
        """The tokens of a sentence."""
        tokens: list[int] = self.tokens[self._ends[number] + 1 : self._ends[number + 1]].tolist()
        return tokens


class Following(Sequence[Sequence[int]]):
    """The labels of sentences: for each token the next one, and the boundary after the last."""

    def __init__(self, examples: TextExamples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, number: int) -> Sequence[int]: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Sequence[int]]: ...

    def __getitem__(self, number: int | slice) -> Sequence[int] | Sequence[Sequence[int]]:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return [*self.examples.sentence(number), BOUNDARY]
