"""Where a training diverges: one detector for the terminal, the alerts and the page."""

import math
from dataclasses import dataclass
from statistics import median

from asr.tracking.metrics import Row

LOSS, EPOCH_LOSS = "train/loss", "train/epoch_loss"
FEW, MANY = 4, 20
"""Rows of single steps that are looked at together: those of an epoch, at least and at most."""
RISE = 1.5
"""Times the lowest level, from which on a loss has risen."""
RISE_OF_EPOCHS = ((1, 3.0), (2, 2.0))
"""How many epochs in a row must be how many times the lowest epoch."""
RISE_OF_START = 0.25
START = 3.0
"""And by this share of the first loss, or of this (nats), that of a model which knows how often each token is: where
the loss is nearly 0, a single utterance makes an epoch ten times as bad."""
LEAST = 0.1
"""And by this (nats), as of a model that is fine-tuned on what it knows: its loss is nearly 0 from the start."""
ABOVE = 0.85
"""Share of the rows that must have risen."""
SCATTERS = 4.0
"""And by this many times their usual distance from their level."""
DEVIATION = 1.4826
"""Times the median distance of normal noise is its standard deviation."""
REMEMBERED = 200
"""Rows that show this distance."""
TINY = 1e-3
"""A loss (nats) below which relative changes mean nothing."""


@dataclass(frozen=True)
class Divergence:
    """The training loss rose and stays up, or is not finite any more."""

    low: Row | None
    """The row at which it was lowest; None where it is not finite."""
    lowest: float
    """Its level there."""
    row: Row
    """The row at which this shows; of losses that are not finite the first."""
    level: float
    """Its level there."""


class LossWatch:
    """Finds where a training diverges, row by row, from robust statistics: nothing follows from a few odd batches.

    The mean loss of an epoch is compared with the lowest before it. Within epochs of many rows, and where rows have no
    such mean, the newest rows are compared with the lowest level before them, which is a median of as many: the
    training diverges if nearly all of them are above it, and by more than rows scatter about their level.
    """

    def __init__(self) -> None:
        self.found: Divergence | None = None
        self._rows: list[Row] = []
        self._levels: list[float] = []
        self._distances: list[float] = []
        self._low: int | None = None
        self._earlier = 0
        self._epochs: list[Row] = []
        self._endless: Row | None = None

    @property
    def last(self) -> Row:
        """The newest row with a finite loss."""
        return self._rows[-1]

    @property
    def level(self) -> float:
        """The present level of the loss."""
        return float(median(row[LOSS] for row in self._rows[-self._window() :]))

    def see(self, row: Row) -> bool:
        """Takes the next row of metrics.jsonl; says whether a divergence shows in it first."""
        loss, mean, before = row.get(LOSS), row.get(EPOCH_LOSS), self.found
        if loss is not None and math.isfinite(loss):
            self._endless = None
            self._rows.append(row)
            self._levels.append(self.level)
            self._distances.append(abs(math.log(max(loss, TINY) / max(self._levels[-1], TINY))))
            self.found = self.found or self._risen()
        elif loss is not None:
            if self._endless is not None:
                self.found = self.found or Divergence(None, math.nan, self._endless, loss)
            self._endless = self._endless or row
        if mean is not None:
            self._epochs.append(row)
            self.found = self.found or self._risen_by_epochs()
        return self.found is not before

    def _window(self) -> int:
        end = self._rows[-1]["epoch"]
        return max(FEW, len([row for row in self._rows[-MANY:] if row["epoch"] > end - 1]))

    def _risen(self) -> Divergence | None:
        recent = [row[LOSS] for row in self._rows[-self._window() :]]
        first = len(self._rows) - len(recent)
        while self._earlier < first:
            if self._low is None or self._levels[self._earlier] < self._levels[self._low]:
                self._low = self._earlier
            self._earlier += 1
        if self._low is None:
            return None
        lowest = self._levels[self._low]
        distances = self._distances[max(0, first - REMEMBERED) : first]
        scatter = DEVIATION * median(distances) if len(distances) >= FEW else 0.0
        limit = max(self._limit(lowest, RISE), lowest * math.exp(SCATTERS * scatter))
        if sum(loss > limit for loss in recent) < ABOVE * len(recent):
            return None
        return Divergence(self._rows[self._low], lowest, self._rows[-1], median(recent))

    def _risen_by_epochs(self) -> Divergence | None:
        for count, times in RISE_OF_EPOCHS:
            earlier, recent = self._epochs[:-count], self._epochs[-count:]
            if not earlier:
                return None
            low = min(earlier, key=lambda row: float(row[EPOCH_LOSS]))
            if all(row[EPOCH_LOSS] > self._limit(low[EPOCH_LOSS], times) for row in recent):
                return Divergence(low, low[EPOCH_LOSS], recent[-1], recent[-1][EPOCH_LOSS])
        return None

    def _limit(self, lowest: float, times: float) -> float:
        """The loss from which on it has risen."""
        start = self._rows[0][LOSS] if self._rows else START
        return max(times * lowest, lowest + max(LEAST, RISE_OF_START * min(start, START)))
