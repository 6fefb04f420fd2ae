"""What is learned from: utterances or sentences."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr.data.draws import Keys


class Examples(Protocol):
    """Training examples, by number."""

    @property
    def ids(self) -> Sequence[str]:
        """The name of each."""

    @property
    def keys(self) -> Keys:
        """Keys for random draws, all different, shape (examples,)."""

    def __call__(self, number: int, epoch: int) -> Tensor:
        """What the model is given of one, (length, ...), a pure function of the seed, the epoch and the example.

        Raises:
            DataError: It cannot be read.
        """

    def seconds(self, epoch: int) -> npt.NDArray[np.float64]:
        """Their sizes in an epoch, shape (examples,): what batches are filled by, seconds of audio or tokens."""

    def in_epoch(self, epoch: int) -> npt.NDArray[np.int64] | None:
        """The numbers of those that an epoch reads, None for all."""
