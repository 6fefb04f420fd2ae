"""The steps of an epoch as they are planned, and the time that they take by what some of them took."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.training.steps import Step, Steps

GOLDEN = 0.6180339887

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlannedEpoch:
    """The steps of an epoch and what they cost, in the order of the plan."""

    steps: list[Step]
    padded: Seconds
    """Padded audio of each step (s), shape (steps,)."""
    longest: Seconds
    """Longest utterance of each step (s), weighted by padded audio where a step has several shares, (steps,)."""
    widest: Seconds
    """Padded audio of each step's largest share (s), shape (steps,)."""

    def spread(self, count: int) -> list[Step]:
        """Steps evenly spread from the shortest utterances to the longest, mixed so that the first few are so too."""
        order = np.argsort(self.longest, kind="stable")
        count = min(count, len(order))
        chosen = order[((np.arange(count) + 0.5) * len(order) / count).astype(np.int64)]
        # Multiples of the golden ratio fall evenly between those before them.
        mixed = np.argsort(np.argsort((0.5 + np.arange(count) * GOLDEN) % 1))
        return [self.steps[number] for number in chosen[mixed]]

    def cost(self, step: Step) -> tuple[float, float]:
        """Padded audio and longest utterance of a step of this epoch (s)."""
        return float(self.padded[step.position]), float(self.longest[step.position])

    def seconds(self, measured: Sequence[tuple[Step, float]], measured_in: "PlannedEpoch") -> float:
        """Time of all steps, from the time that some took for each second of padded audio.

        Long utterances are dearer than as many seconds of short ones, since a recurrent layer goes frame by frame; in
        between, the price is interpolated.

        Args:
            measured: Steps with the time that each took (s).
            measured_in: The epoch that they are of.
        """
        prices = sorted(
            (longest, seconds / padded) for step, seconds in measured for padded, longest in [measured_in.cost(step)]
        )
        places, price = zip(*prices, strict=True)
        return float((self.padded * np.interp(self.longest, places, price)).sum())


def planned_epoch(steps: Steps, epoch: int) -> PlannedEpoch:
    """The steps of an epoch."""
    durations = steps.inputs.seconds(epoch)
    planned = list(steps.start(epoch, 0, epoch + 1))
    rows = []
    for step in planned:
        shares = [durations[share.utterances] for share in step.shares if len(share.utterances)]
        padded = np.array([len(share) * share.max() for share in shares])
        longest = np.array([share.max() for share in shares])
        rows.append((padded.sum(), (longest * padded).sum() / padded.sum(), padded.max()))
    columns = np.array(rows, dtype=np.float64).T
    return PlannedEpoch(planned, columns[0], columns[1], columns[2])
