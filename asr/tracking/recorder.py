"""A run in a tracker beside Weights & Biases."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.tracking.metrics import AXES, Row


class Recorder(ABC):
    """A run in another tracker. Every method may raise what it likes: the recorder is then used no longer."""

    name: str

    @abstractmethod
    def row(self, number: int, row: Row) -> None:
        """Records a row of metrics.jsonl, unless an earlier process did."""

    @abstractmethod
    def figure(self, name: str, value: float, step: int) -> None:
        """Records a figure of the whole run."""

    @abstractmethod
    def text(self, name: str, text: str, step: int) -> None:
        """Shows a text, replacing an earlier one."""

    @abstractmethod
    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Shows a table, replacing an earlier one."""

    @abstractmethod
    def picture(self, name: str, path: Path, step: int) -> None:
        """Shows an image file."""

    @abstractmethod
    def audio(self, name: str, waveform: npt.NDArray[np.float32], sampling_rate: int, step: int) -> None:
        """Plays a waveform (samples,) in [-1, 1]."""

    @abstractmethod
    def finish(self, succeeded: bool) -> None:
        """Ends the run, which a later process may go on with."""


def metrics_of(row: Row) -> dict[str, float]:
    """The metrics of a row, and its epoch and seconds."""
    return {name: float(value) for name, value in row.items() if name != AXES[0] and value is not None}
