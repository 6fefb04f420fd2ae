"""Which settings matter: how much of the differences among the error rates of runs goes with each of them.

One-way analysis of variance on the ranks of the error rates, so that a run that diverged counts as the last one and no
more. The share is epsilon squared (Kelley, "An unbiased correlation ratio measure", 1935): unlike the plain correlation
ratio it is 0 on average, and not above, for a setting without effect. Its interval is that of the jackknife (Efron &
Stein, "The jackknife estimate of variance", 1981), and its p that of a permutation test. Each setting is looked at
alone: what two of them do together is not seen, and of settings that always vary together, which are told as one, it
cannot be known which it is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.report.overview import NO_DEBUG, chosen
from asr.report.runs import Run, differing_settings
from asr.scoring.bootstrap import holm

FEWEST_RUNS = 8
"""With fewer, no shares are told."""
DISTINCT = 6
"""A setting with more different numbers is cut into parts of equally many runs."""
PARTS = 4
PERMUTATIONS = 2000
DEVIATIONS = 1.96
"""Of the normal distribution, to either end of its 95 % interval."""


@dataclass(frozen=True)
class Importance:
    """Of a setting, or of several that always vary together."""

    settings: list[str]
    values: int
    """Different ones, or parts of a range."""
    share: float
    """Of the variance of the ranks; about 0 without effect, maybe below, 1 where the setting decides alone."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p: float
    """How often chance gives as large a share, corrected for the number of settings (Holm)."""


def importance(settings: Mapping[str, Sequence[Any]], rates: Sequence[float]) -> list[Importance]:
    """The settings by their share of the differences, the largest first; none where there are too few runs.

    Settings with a value of their own for every run cannot be told from chance and are left out.

    Args:
        settings: By key, its value in each run.
        rates: The error rate of each run.
    """
    if len(rates) < FEWEST_RUNS:
        return []
    ranks = _ranks(np.array(rates, dtype=np.float64))
    members: dict[bytes, tuple[npt.NDArray[np.int64], list[str]]] = {}
    for key, values in settings.items():
        groups = _groups(values)
        if 1 < len(set(groups.tolist())) < len(rates) - 1:
            members.setdefault(groups.tobytes(), (groups, []))[1].append(key)
    found = [_of(keys, groups, ranks) for groups, keys in members.values()]
    corrected = holm([one.p for one in found])
    told = [Importance(**vars(one) | {"p": p}) for one, p in zip(found, corrected, strict=True)]
    return sorted(told, key=lambda one: (-one.share, one.settings))


def sweep_importance(runs: Sequence[Run], split: str) -> list[dict[str, Any]]:
    """What a report shows of the evaluated runs of each recipe, of whole trainings: by the unit of their errors."""
    shown = []
    for recipe, unit in dict.fromkeys((run.recipe, run.unit) for run in runs):
        members = [
            (run, results)
            for run in runs
            if (run.recipe, run.unit) == (recipe, unit)
            for results in [chosen([one for one in run.evaluations if one.split == split], None)]
            if results is not None and results.unit is unit and run.settings.get("debug.mode") in NO_DEBUG
        ]
        if len(members) < 2:
            continue
        keys = differing_settings([run for run, _ in members])
        values = {key: [run.settings.get(key) for run, _ in members] for key in keys}
        found = importance(values, [float(one.results[unit.rate]) for _, one in members])
        heading = {"recipe": recipe, "split": split, "unit": unit.value, "runs": len(members), "fewest": FEWEST_RUNS}
        shown.append(heading | {"settings": [asdict(one) for one in found]})
    return shown


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From the lowest, equal values at the mean of their places."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places]


def _groups(values: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The number of the group of each run, in the order of their first runs."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and len(set(numbers)) > DISTINCT:
        limits = np.quantile(np.array(values, dtype=np.float64), np.linspace(0, 1, PARTS + 1)[1:-1])
        labels = np.searchsorted(limits, np.array(values, dtype=np.float64), side="left").tolist()
    else:
        labels = [repr(value) for value in values]
    order = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.array([order[label] for label in labels], dtype=np.int64)


def _share(groups: npt.NDArray[np.int64], ranks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Epsilon squared of each row of ranks, (orders, runs); 0 where nothing varies."""
    counts = np.bincount(groups)
    members = np.eye(len(counts))[groups]
    runs, kinds = len(groups), int((counts > 0).sum())
    total = float(np.square(ranks[0] - ranks[0].mean()).sum())
    if total == 0 or not 1 < kinds < runs:
        return np.zeros(len(ranks))
    between = (np.square(ranks @ members) / np.maximum(counts, 1)).sum(axis=1) - runs * ranks[0].mean() ** 2
    share: npt.NDArray[np.float64] = 1 - ((total - between) / (runs - kinds)) / (total / (runs - 1))
    return share


def _of(keys: list[str], groups: npt.NDArray[np.int64], ranks: npt.NDArray[np.float64]) -> Importance:
    count, own = len(ranks), ranks[None]
    share = float(_share(groups, own)[0])
    without = np.array([_share(np.delete(groups, one), np.delete(own, one, axis=1))[0] for one in range(count)])
    deviation = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    by_chance = _share(groups, np.random.default_rng(0).permuted(np.repeat(own, PERMUTATIONS, axis=0), axis=1))
    return Importance(
        settings=keys,
        values=int(groups.max()) + 1,
        share=share,
        low=max(0.0, share - DEVIATIONS * deviation),
        high=max(0.0, min(1.0, share + DEVIATIONS * deviation)),
        p=float((by_chance >= share - 1e-12).sum() + 1) / (PERMUTATIONS + 1),
    )
