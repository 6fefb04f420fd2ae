"""Training diagnostics: what the metrics of a training reveal about its health, in sentences with figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from asr.scoring.error_unit import ErrorUnit, unit_of_setting
from asr.tracking.divergence import LOSS, RISE, LossWatch
from asr.tracking.metrics import Row

WAIT_SHARE = 0.15
"""Share of the time spent on waiting for data from which it is reported."""
PADDING_SHARE = 0.15
RISE_POINTS, RISE_SHARE = 0.005, 0.05
"""A dev error rate has risen if it did by this much, absolute and relative to its lowest."""
STAYS_UP = 0.7
"""And if this share of the epochs since then are above it."""
LAST, FALL_SHARE = 0.1, 0.1
"""A training ends too early if dev falls by this share in this share of its epochs, the last ones."""
NEAR = 4
"""Epochs on both sides of the best that show how much the dev error rate fluctuates."""
NOTHING_RIGHT = 0.98
LEARNED = 0.9
"""A dev error rate of a model that has begun to recognize something."""
LOST = 2
"""Epochs in which such a model recognizes nothing, before it is reported."""
TAKEN_OFF = 0.6
"""Share of the epochs after which a model should have begun: the smallest of the recipes do after half of them."""
PATIENCE = 3
"""Epochs before anything is reported."""


class Severity(Enum):
    problem = "problem"
    warning = "warning"


@dataclass(frozen=True)
class Diagnostic:
    """Something that a reviewer should know."""

    kind: str
    severity: Severity
    sentence: str


@dataclass(frozen=True)
class Point:
    """A value of a metric."""

    step: int
    epoch: float
    value: float


def diagnose(rows: Sequence[Row], settings: Mapping[str, Any], skipped: Sequence[str] = ()) -> list[Diagnostic]:
    """All diagnostics of a run, the worst first.

    Args:
        rows: The rows of metrics.jsonl.
        settings: The run's settings by full key.
        skipped: The lines of train.log that name skipped steps.
    """
    checks = (
        diverging(rows),
        collapsed(rows, settings),
        skipped_steps(rows, skipped),
        over_fitting(rows, settings),
        under_trained(rows, settings),
        waiting_for_data(rows),
        padded(rows),
    )
    found = [diagnostic for diagnostic in checks if diagnostic is not None]
    return sorted(found, key=lambda diagnostic: diagnostic.severity is not Severity.problem)


CHECKS = "diverging loss, collapse, skipped steps, over-fitting, too few epochs, waiting for data, padding"
"""What `diagnose` looks for."""


def series(rows: Sequence[Row], name: str) -> list[Point]:
    """The values of a metric, in the order of the steps."""
    return [Point(row["step"], row.get("epoch", 0.0), row[name]) for row in rows if row.get(name) is not None]


def diverging(rows: Sequence[Row]) -> Diagnostic | None:
    """The training loss rose far above its lowest level and stayed there, or is not finite any more."""
    watch = LossWatch()
    for row in rows:
        watch.see(row)
    return None if watch.found is None else divergence(watch)


def divergence(watch: LossWatch) -> Diagnostic:
    """What was found, in a sentence; a warning where the loss has fallen again since."""
    found = watch.found
    assert found is not None
    if found.low is None:
        return _diverges(f"The training loss is not finite since step {found.row['step']}", found.row)
    sentence = (
        f"The training loss rises from {_number(found.lowest)} at step {found.low['step']} to "
        f"{_number(found.level)} at step {found.row['step']}"
    )
    if watch.last["step"] > found.row["step"]:
        since = f" and is {_number(watch.level)} at step {watch.last['step']}"
        if watch.level <= RISE * found.lowest:
            return Diagnostic("diverging", Severity.warning, f"{sentence}{since} again: the training was unstable.")
        sentence += since
    return _diverges(sentence, found.low)


def _diverges(sentence: str, row: Row) -> Diagnostic:
    rate = row.get("train/learning_rate")
    there = "" if rate is None else f" (learning rate {rate:.1e} there)"
    remedy = ": the training diverges. Lower optimizer.learning_rate, or lengthen schedule.warmup."
    return Diagnostic("diverging", Severity.problem, sentence + there + remedy)


def collapsed(rows: Sequence[Row], settings: Mapping[str, Any]) -> Diagnostic | None:
    """The model recognizes nothing any more, or has not begun to."""
    unit = _unit(settings)
    rate, cer = series(rows, f"dev/{unit.rate}"), series(rows, "dev/cer")
    if not rate or rate[-1].value < NOTHING_RIGHT:
        return None
    silent = bool(cer) and cer[-1].value >= 0.9 and rate[-1].value <= 1.02
    how = "the model outputs almost nothing" if silent else f"the model recognizes no {unit}"
    names = dict.fromkeys(name for row in rows for name in row if "blank" in name)
    blank = [point for name in names for point in series(rows, name)[-1:]]
    share = f", {_percent(blank[0].value)} of its frames are blank" if blank else ""
    best = min(rate, key=lambda point: point.value)
    wrong = len(rate)
    while wrong and rate[wrong - 1].value >= NOTHING_RIGHT:
        wrong -= 1
    if best.value <= LEARNED:
        if len(rate) - wrong < LOST:
            return None
        sentence = (
            f"dev {unit.label} was {_percent(best.value)} after epoch {best.epoch:.0f} and is "
            f"{_percent(rate[-1].value)} since epoch {rate[wrong].epoch:.0f}: the training collapsed, {how}{share}. "
            "Lower optimizer.learning_rate, and look at the loss and the gradient norm before that epoch."
        )
        return Diagnostic("collapse", Severity.problem, sentence)
    epochs = float(settings.get("training.epochs") or 0)
    ended = epochs > 0 and rate[-1].epoch >= epochs
    if not ended and len(rate) < max(PATIENCE, TAKEN_OFF * epochs):
        return None
    sentence = (
        f"dev {unit.label} is still {_percent(rate[-1].value)} after {len(rate)} epochs: {how}{share}. Train longer, "
        "change optimizer.learning_rate, or look for transcripts that do not match their audio (asr check)."
    )
    return Diagnostic("collapse", Severity.problem, sentence)


def _unit(settings: Mapping[str, Any]) -> ErrorUnit:
    """What errors are counted in; words in runs of an earlier version."""
    return unit_of_setting(settings.get("scoring.unit"))


def skipped_steps(rows: Sequence[Row], skipped: Sequence[str]) -> Diagnostic | None:
    """Steps were skipped because their loss or gradient was not finite."""
    if not skipped:
        return None
    steps = max([row["step"] for row in rows], default=0)
    sentence = (
        f"Of {steps} steps, {len(skipped)} {'was' if len(skipped) == 1 else 'were'} skipped because the loss or the "
        "gradient was not finite: train.log names the utterances."
    )
    return Diagnostic("skipped", Severity.problem, sentence)


def over_fitting(rows: Sequence[Row], settings: Mapping[str, Any]) -> Diagnostic | None:
    """The dev error rate rises and stays up while the training loss still falls."""
    unit = _unit(settings)
    rate, loss = series(rows, f"dev/{unit.rate}"), series(rows, LOSS)
    if len(rate) < PATIENCE + 1 or not loss:
        return None
    values = [point.value for point in rate]
    best = values.index(min(values))
    after = values[best:]
    if len(after) < PATIENCE + 1:
        return None
    low, end = median(values[max(0, best - 1) : best + 2]), median(values[-3:])
    # By how much it fluctuates anyway, near its best and to the end.
    near = values[max(0, best - NEAR) : best + NEAR + 1]
    noise = max(median(abs(right - left) for left, right in pairwise(part)) for part in (near, after))
    rise = max(RISE_POINTS, RISE_SHARE * low)
    stays = fmean(value > low + rise / 2 for value in after[1:])
    if end - low <= max(rise, noise) or stays < STAYS_UP:
        return None
    then = [point.value for point in loss if abs(point.epoch - rate[best].epoch) <= 1]
    now = [point.value for point in loss if rate[-1].epoch - point.epoch <= 1]
    if not then or not now or not median(now) < 0.95 * median(then):
        return None
    sentence = (
        f"dev {unit.label} rises since epoch {rate[best].epoch:.0f}, from {_percent(values[best])} to {_percent(end)}, "
        f"while the training loss still falls, from {_number(median(then))} to {_number(median(now))}: over-fitting. "
        "Fewer epochs, more dropout or more augmentation would help."
    )
    return Diagnostic("over-fit", Severity.warning, sentence)


def under_trained(rows: Sequence[Row], settings: Mapping[str, Any]) -> Diagnostic | None:
    """The dev error rate still falls when the training ends."""
    unit = _unit(settings)
    rate, epochs = series(rows, f"dev/{unit.rate}"), float(settings.get("training.epochs") or 0)
    if not epochs or len(rate) <= PATIENCE or rate[-1].epoch < epochs:
        return None
    last = max(1, round(LAST * len(rate)))
    before, best = (min(point.value for point in part) for part in (rate[:-last], rate[-last:]))
    if best >= NOTHING_RIGHT or before - best <= max(RISE_POINTS, FALL_SHARE * before):
        return None
    ended = "in the last epoch" if last == 1 else f"in the last {last} epochs"
    sentence = (
        f"dev {unit.label} still falls {ended}, from {_percent(before)} to {_percent(best)}: more epochs "
        "(training.epochs) would help."
    )
    return Diagnostic("under-trained", Severity.warning, sentence)


def waiting_for_data(rows: Sequence[Row]) -> Diagnostic | None:
    """Steps wait for their batches."""
    waits = [point.value for point in series(rows, "time/data_wait_share")]
    # The first row includes the startup.
    waits = waits[1:] if len(waits) > 3 else waits
    if not waits or fmean(waits) < WAIT_SHARE:
        return None
    sentence = (
        f"{100 * fmean(waits):.0f} % of step time waits for data: raise hardware.workers, or read features "
        "from a store (features.source=store, made by `asr extract RECIPE`)."
    )
    return Diagnostic("data", Severity.warning, sentence)


def padded(rows: Sequence[Row]) -> Diagnostic | None:
    """Much of the computation is padding."""
    shares = [point.value for point in series(rows, "data/padding_share")]
    if not shares or fmean(shares) < PADDING_SHARE:
        return None
    sentence = (
        f"{_percent(fmean(shares))} of the computed frames are padding: lower batching.length_jitter, or give batches "
        "more utterances of similar length (batching.global_seconds)."
    )
    return Diagnostic("padding", Severity.warning, sentence)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float) -> str:
    return f"{value:.3g}"
