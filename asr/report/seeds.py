"""Runs that differ in the seed only, as one model: the mean of their error rates and how much they vary."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from asr.common.tables import table
from asr.report.overview import Summary, shown_settings
from asr.scoring.error_unit import ErrorUnit


@dataclass(frozen=True)
class SeedGroup:
    """A model; rates are fractions, and what is not known is None."""

    recipe: str
    run: str
    """The first of its runs."""
    seeds: list[int]
    split: str
    unit: str
    rate: float | None
    """Mean over the seeds."""
    rate_deviation: float | None
    """Standard deviation over the seeds; None where fewer than two are known."""
    dev_rate: float | None
    dev_rate_deviation: float | None
    train_seconds: float
    """Mean over the seeds."""
    settings: dict[str, Any]
    """Those in which the models of the recipe differ."""


def group_seeds(lines: Sequence[Summary]) -> list[SeedGroup]:
    """The models of runs, of each recipe together, the lowest mean error rate first.

    Debug runs and runs that have not been evaluated count as well; an error rate is the mean of those that are known.
    """
    groups: dict[tuple[str, str, str], list[Summary]] = {}
    for line in lines:
        groups.setdefault((line.recipe, line.unit, line.model), []).append(line)
    found = [_group(sorted(members, key=lambda line: line.seed)) for members in groups.values()]
    order = {recipe: place for place, recipe in enumerate(dict.fromkeys(line.recipe for line in lines))}
    return sorted(found, key=lambda one: (order[one.recipe], one.unit, _last(one.rate), _last(one.dev_rate)))


def _group(members: Sequence[Summary]) -> SeedGroup:
    first = members[0]
    rate, deviation = _spread([line.rate for line in members])
    dev_rate, dev_deviation = _spread([line.dev_rate for line in members])
    return SeedGroup(
        recipe=first.recipe,
        run=first.run,
        seeds=[line.seed for line in members],
        split=first.split,
        unit=first.unit,
        rate=rate,
        rate_deviation=deviation,
        dev_rate=dev_rate,
        dev_rate_deviation=dev_deviation,
        train_seconds=fmean(line.train_seconds for line in members),
        settings={key: value for key, value in first.settings.items() if key != "seed"},
    )


def _spread(rates: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [rate for rate in rates if rate is not None]
    return fmean(known) if known else None, stdev(known) if len(known) > 1 else None


def seeds_as_json(groups: Sequence[SeedGroup]) -> str:
    """A list of objects."""
    return json.dumps([asdict(group) for group in groups], indent=1, ensure_ascii=False)


def seeds_as_table(groups: Sequence[SeedGroup]) -> str:
    """For a terminal: a block for each recipe, and for each unit that its errors are counted in."""
    blocks = []
    for recipe, unit in dict.fromkeys((group.recipe, group.unit) for group in groups):
        members = [group for group in groups if (group.recipe, group.unit) == (recipe, unit)]
        label = ErrorUnit(unit).label
        headings = ["model", "runs", "seeds", f"{label} %", f"dev {label} %", "differs in"]
        rows = [
            [
                group.run,
                str(len(group.seeds)),
                ",".join(map(str, group.seeds)),
                _shown(group.rate, group.rate_deviation),
                _shown(group.dev_rate, group.dev_rate_deviation),
                shown_settings(group.settings),
            ]
            for group in members
        ]
        heading = f"{recipe}, {members[0].split}: mean ± standard deviation over seeds"
        blocks.append(table(headings, rows, "lrlrrl", heading))
    return "\n\n".join(blocks)


def _shown(rate: float | None, deviation: float | None) -> str:
    if rate is None:
        return "-"
    return f"{100 * rate:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _last(value: float | None) -> float:
    return float("inf") if value is None else value
