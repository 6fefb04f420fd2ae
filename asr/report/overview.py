"""All runs side by side, as `asr runs` shows them: error rates, what they cost, in what they differ, their state."""

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from asr.common.errors import RunError
from asr.common.tables import table
from asr.decoding.setup import GREEDY
from asr.report.run_states import Standing, standings
from asr.report.runs import Evaluation, Run, differing_settings
from asr.scoring.bootstrap import shown_interval
from asr.scoring.error_unit import ErrorUnit
from asr.settings.debug import DebugMode
from asr.settings.recipe import SETTINGS
from asr.tracking.metrics import Row
from asr.training.run_state import State

log = logging.getLogger(__name__)

NO_DEBUG = (DebugMode.off.name, False, None)
"""`debug.mode` of a whole training, as YAML may read it."""
BEST = "*"
"""Marks the best run of a recipe."""


@dataclass(frozen=True)
class Summary:
    """A run in a line; rates are fractions, and what is not known is None."""

    recipe: str
    run: str
    folder: str
    best: bool
    """Whether its dev error rate is the lowest of its recipe."""
    state: str
    """training, queued, preempted, interrupted, failed or finished."""
    node: str | None
    """The machine on which it trains, or trained last."""
    error: str | None
    """Why it failed, in a line."""
    silent_seconds: float
    """Since the training last wrote something."""
    speed: float | None
    """Hours of audio per hour."""
    left_seconds: float | None
    """What the rest of an unfinished training takes at its speed so far."""
    split: str
    """Of the evaluation."""
    decoder: str | None
    unit: str
    """What errors are counted in: word or character."""
    rate: float | None
    """The error rate in that unit: wer or cer."""
    rate_low: float | None
    rate_high: float | None
    wer: float | None
    cer: float | None
    dev_rate: float | None
    """The lowest after an epoch, by which the model was chosen."""
    epoch: float
    epochs: int | None
    """Those of the whole training."""
    train_seconds: float
    settings: dict[str, Any]
    """Those in which the runs of the recipe differ."""
    date: str
    """When the training last wrote something."""
    seed: int
    model: str
    """The same for runs that differ in the seed only."""
    commit: str | None
    command: str | None
    host: str | None
    """The machine on which the training began."""
    tags: list[str]
    """`tracker.tags`."""


def summarize(runs: Sequence[Run], split: str, decoder: str | None) -> list[Summary]:
    """A line for each run, those of a recipe together, the lowest error rate first, then the lowest on dev.

    Args:
        split: Of the evaluations that are shown.
        decoder: Their decoder; None takes greedy search where there are several.
    """
    lines: list[Summary] = []
    for recipe in dict.fromkeys(run.recipe for run in runs):
        members = [run for run in runs if run.recipe == recipe]
        differing, best = differing_settings(members), best_run(members)
        if sentence := judged_apart(members):
            log.warning("%s.", sentence)
        found = [
            _summary(run, standing, differing, run is best, split, decoder)
            for run, standing in zip(members, standings(members), strict=True)
        ]
        lines += sorted(found, key=lambda line: (line.unit, _last(line.rate), _last(line.dev_rate), line.run))
    return lines


def best_run(runs: Sequence[Run]) -> Run | None:
    """The run with the lowest dev error rate after an epoch, in the unit of most; None where none has such a rate, as
    what was trained on dev, or where they have them on different dev splits."""
    judged = _judged(runs)
    return None if judged_apart(runs) else min(judged, key=lambda one: one[0], default=(0, None))[1]


def judged_apart(runs: Sequence[Run]) -> str | None:
    """Says that the runs which could be the best have their dev error rates on different dev splits, where it is so."""
    of_splits = {run.dev_manifest: run.folder for _, run in _judged(runs) if run.dev_manifest is not None}
    if len(of_splits) < 2:
        return None
    first, second, *_ = of_splits.values()
    return f"{first} and {second} were judged on different dev splits, so that no run is the best"


def _judged(runs: Sequence[Run]) -> list[tuple[float, Run]]:
    """The runs that could be the best, with their rates: of one unit, without those of debug, which dev on what they
    train on or break off."""
    trained = [run for run in runs if run.settings.get("debug.mode") in NO_DEBUG]
    judged = [(rate, run) for run in trained if (rate := dev_rate(run)) is not None]
    units = Counter(run.unit for _, run in judged).most_common(1)
    return [one for one in judged if one[1].unit is units[0][0]]


def dev_rate(run: Run) -> float | None:
    """The lowest dev error rate after an epoch, which chose the model of a run; None where dev was trained on."""
    return None if run.settings.get("training.with_dev") else run.progress.dev_rate


def chosen(evaluations: Sequence[Evaluation], decoder: str | None) -> Evaluation | None:
    """The evaluation with a decoder; without one, greedy search, or else the first."""
    named = [one for one in evaluations if decoder in (None, one.decoder)]
    return next((one for one in named if one.decoder == GREEDY), named[0] if named else None)


def as_table(lines: Sequence[Summary]) -> str:
    """For a terminal: a block for each recipe, and for each unit that its errors are counted in."""
    blocks = []
    for recipe, unit in dict.fromkeys((line.recipe, line.unit) for line in lines):
        members = [line for line in lines if (line.recipe, line.unit) == (recipe, unit)]
        label = ErrorUnit(unit).label
        decoders = {line.decoder for line in members} - {None}
        shown = ["decoder"] if decoders - {GREEDY} else []
        rates = [f"{label} %", "95 % interval", f"dev {label} %"]
        headings = ["", "run", *shown, *rates, "epochs", "training", "date", "state"]
        rows = [_row(line, bool(shown)) for line in members]
        align = "ll" + "l" * len(shown) + "rlrrrll"
        if any(line.state != State.finished for line in members):
            headings += ["node", "speed", "left", "last sign"]
            rows = [row + _progress(line) for row, line in zip(rows, members, strict=True)]
            align += "lrrr"
        if any(line.settings for line in members):
            headings.append("differs in")
            rows = [[*row, shown_settings(line.settings)] for row, line in zip(rows, members, strict=True)]
        blocks.append(table(headings, rows, align + "l", f"{recipe}, {members[0].split}"))
    return "\n\n".join(blocks)


def failures(lines: Sequence[Summary]) -> list[str]:
    """A line for each training that failed, which says why."""
    return [f"{line.run} failed: {line.error}" for line in lines if line.error]


def as_json(lines: Sequence[Summary]) -> str:
    """A list of objects."""
    return json.dumps([asdict(line) for line in lines], indent=1, ensure_ascii=False)


def as_csv(lines: Sequence[Summary]) -> str:
    """A line for each run below one of headings; the settings in which they differ are columns of their own."""
    rows = [asdict(line) for line in lines]
    settings = dict.fromkeys(key for line in lines for key in line.settings)
    names = [name for name in rows[0] if name != "settings"] if rows else []
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow([*names, *settings])
    for row, line in zip(rows, lines, strict=True):
        writer.writerow([*(row[name] for name in names), *(line.settings.get(key) for key in settings)])
    return output.getvalue().rstrip("\n")


def _summary(
    run: Run, standing: Standing, differing: Sequence[str], best: bool, split: str, decoder: str | None
) -> Summary:
    evaluation = chosen([one for one in run.evaluations if one.split == split], decoder)
    results, unit = (evaluation.results, evaluation.unit) if evaluation else ({}, run.unit)
    last = run.progress.last
    return Summary(
        recipe=run.recipe,
        run=run.name,
        folder=str(run.folder),
        best=best,
        state=standing.state,
        node=standing.node,
        error=standing.error,
        silent_seconds=standing.silent_seconds,
        speed=run.progress.speed,
        left_seconds=None if standing.state == State.finished else _left(last, run.settings.get("training.epochs")),
        split=split,
        decoder=evaluation.decoder if evaluation else None,
        unit=unit.value,
        rate=results.get(unit.rate),
        rate_low=results.get(f"{unit.rate}_low"),
        rate_high=results.get(f"{unit.rate}_high"),
        wer=results.get("wer"),
        cer=results.get("cer"),
        dev_rate=dev_rate(run),
        epoch=last.get("epoch", 0),
        epochs=run.settings.get("training.epochs"),
        train_seconds=last.get("seconds", 0),
        settings={key: run.settings.get(key) for key in differing},
        date=run.date,
        seed=run.settings.get("seed", 0),
        model=run.model_key,
        commit=run.origin.get("commit"),
        command=run.origin.get("command"),
        host=run.origin.get("host"),
        tags=run.tags,
    )


def _left(last: Row, epochs: Any) -> float | None:
    """What the epochs that are left take (s), if each takes as long as those before it."""
    done, seconds = last.get("epoch", 0), last.get("seconds", 0)
    return seconds / done * max(epochs - done, 0) if done and isinstance(epochs, int | float) else None


def _row(line: Summary, with_decoder: bool) -> list[str]:
    ends = (line.rate_low, line.rate_high)
    interval = "-" if ends[0] is None or ends[1] is None else shown_interval(ends[0], ends[1])
    return [
        BEST if line.best else "",
        line.run,
        *([line.decoder or "-"] if with_decoder else []),
        _percent(line.rate),
        interval,
        _percent(line.dev_rate),
        f"{line.epoch:g}/{line.epochs or '?'}" if line.epoch % 1 == 0 else f"{line.epoch:.1f}/{line.epochs or '?'}",
        str(timedelta(seconds=round(line.train_seconds))),
        line.date,
        line.state,
    ]


def _progress(line: Summary) -> list[str]:
    """What is shown of an unfinished training beside its state."""
    if line.state == State.finished:
        return ["-"] * 4
    speed = "-" if line.speed is None else f"{line.speed:.0f}x"
    left = "-" if line.left_seconds is None else str(timedelta(seconds=round(line.left_seconds)))
    return [line.node or "-", speed, left, _ago(line.silent_seconds)]


def _ago(seconds: float) -> str:
    """A time as "12 s ago"."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def shown_settings(settings: dict[str, Any]) -> str:
    """Settings as overrides."""
    return " ".join(f"{key}={_shown(value)}" for key, value in settings.items())


def _shown(value: Any) -> str:
    """A value as an override has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _last(value: float | None) -> float:
    """Sorts what is not known behind all numbers."""
    return float("inf") if value is None else value


def readable_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs of acoustic models among folders, without those that are damaged, which a warning names."""
    kept = []
    for run in runs:
        try:
            run.settings, run.progress  # noqa: B018  they are read here
        except RunError as error:
            log.warning("%s is left out: %s", run.folder, error)
        else:
            kept.append(run)
    return kept


def runs_below(root: Path) -> list[Run]:
    """The runs of all recipes in the folder `paths.runs`."""
    folders = sorted(path.parent for path in root.glob(f"*/*/{SETTINGS}"))
    return [Run(folder.absolute()) for folder in folders if not folder.name.startswith(".")]
