"""Replays the detector of divergence over finished trainings, and says where it was right.

    python tools/benchmark/divergence.py runs/an4 runs/yesno ...

What happened is judged with the whole curve in view, which a training under way has not: it diverged if two epochs in
a row, or the last ones, have a mean training loss above twice the lowest before and 0.5 nats over it, or none that is
finite. An alarm is right if it comes no later than two epochs after the first of them.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from asr.common.tables import table
from asr.report.runs import Run, find_runs
from asr.tracking.divergence import EPOCH_LOSS, LOSS, LossWatch
from asr.tracking.metrics import Row

TIMES, NATS = 2.0, 0.5
LONG = 2
"""Epochs in a row."""
EPOCHS = 2
"""That an alarm may take."""


def main(folders: Sequence[str]) -> None:
    runs = [run for run in find_runs([Path(folder) for folder in folders]) if run.metrics]
    lines = [judge(run) for run in runs]
    print(table(["run", "epochs", "lowest", "last", "diverges in", "alarm in", "verdict"], lines, "lrrrrrl"))
    verdicts = [line[-1] for line in lines]
    print("\n" + ", ".join(f"{verdicts.count(one)} {one}" for one in sorted(set(verdicts))))


def judge(run: Run) -> list[str]:
    """A line of the table."""
    means = epoch_means(run.metrics)
    first = next((float(row[LOSS]) for row in run.metrics if LOSS in row), math.inf)
    onset, alarm = diverged_in(means, first), alarmed_in(run.metrics)
    name = f"{run.recipe}/{run.name} {' '.join(run.tags)}".strip()
    return [
        name,
        str(len(means)),
        f"{min((mean for mean in means if math.isfinite(mean)), default=math.nan):.3g}",
        f"{means[-1]:.3g}" if means else "-",
        "-" if onset is None else str(onset),
        "-" if alarm is None else f"{alarm:.1f}",
        verdict(onset, alarm, means),
    ]


def epoch_means(rows: Sequence[Row]) -> list[float]:
    """The mean training loss of each whole epoch, and of one that ended in losses that are not finite."""
    means = [float(row[EPOCH_LOSS]) for row in rows if row.get(EPOCH_LOSS) is not None]
    last = next((row[LOSS] for row in reversed(rows) if LOSS in row), 0.0)
    return means if math.isfinite(last) else [*means, math.nan]


def diverged_in(means: Sequence[float], first: float) -> int | None:
    """The first epoch of those in which the loss is high; `first` is that of the first step."""
    lowest, high = first, list[bool]()
    for mean in means:
        high.append(not mean <= max(TIMES * lowest, lowest + NATS))
        lowest = min(lowest, mean) if math.isfinite(mean) else lowest
    for begin, count in runs_of(high):
        if count >= LONG or begin + count == len(high):
            return begin + 1
    return None


def runs_of(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Begin and length of each run of True."""
    place = 0
    for flag, members in groupby(flags):
        count = len([*members])
        if flag:
            yield place, count
        place += count


def alarmed_in(rows: Sequence[Row]) -> float | None:
    """The epochs until the alarm."""
    watch = LossWatch()
    return next((row["epoch"] for row in rows if watch.see(row)), None)


def verdict(onset: int | None, alarm: float | None, means: Sequence[float]) -> str:
    if onset is None:
        return "healthy" if alarm is None else "false alarm"
    if alarm is None:
        return "missed"
    return "found" if onset - 1 <= alarm <= onset + EPOCHS else "late" if alarm > onset else "early"


if __name__ == "__main__":
    main(sys.argv[1:])
