"""Which model to begin with, in sentences that each rest on a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np

from asr.common.tables import table
from asr.data.manifest import read_manifest
from asr.data.utterance import seconds_of
from asr.planning.prediction import MARGIN, Prediction
from asr.scoring.results import Results, read_results
from asr.settings.recipe import Recipe
from asr.settings.root import Config

ALIKE = 0.1
"""Times that differ by less are called equal: a trial of seconds is not more precise."""
MUCH_PADDING = 0.1


@dataclass(frozen=True)
class Plan:
    """A model, the prediction of its training, and its published results."""

    label: str
    """What distinguishes it from the others, such as "gru"."""
    prediction: Prediction
    stored: Results | None
    """The recipe's published results on test with the same name, if there are any; the settings may differ."""


@dataclass(frozen=True)
class Corpus:
    """The training split."""

    recipe: str
    utterances: int
    hours: float
    median_seconds: float
    """Half of the utterances are shorter."""
    longest_seconds: float

    @classmethod
    def read(cls, recipe: Recipe, config: Config) -> Self:
        """The figures of a recipe's training manifest."""
        seconds = seconds_of(read_manifest(recipe.manifest(config, "train")))
        hours = float(seconds.sum()) / 3600
        return cls(recipe.name, len(seconds), hours, float(np.median(seconds)), float(seconds.max()))


@dataclass(frozen=True)
class Budget:
    """Limits of a training."""

    seconds: float | None
    """None is without a limit."""
    memory: float
    """Bytes."""


def advise(corpus: Corpus, plans: Sequence[Plan], budget: Budget) -> list[str]:
    """The sentences, the last of which is a recommendation. On accuracy they quote stored results only."""
    return [_data(corpus, plans[0]), *_speed(plans), _time(plans, budget), *_memory(plans, budget),
            _accuracy(corpus, plans), _verdict(plans, budget)]  # fmt: skip


def published_results(recipe: Recipe, prediction: Prediction) -> Results | None:
    """The published results on test of the run with the name of a predicted one and the nearest size.

    Of several seeds it is the lowest; None where there are no such results.
    """
    found = map(read_results, sorted((recipe.folder / "results").glob("*/test")))
    return min(
        (results for results in found if results.run.rpartition("-")[0] == prediction.name),
        key=lambda results: (abs(results.parameters - prediction.parameters), results.seed),
        default=None,
    )


def duration(seconds: float) -> str:
    """A time as "31.0 s" or, from two minutes on, as h:mm:ss."""
    return f"{seconds:.1f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))


def gigabytes(size: float) -> str:
    """Bytes as "1.45 GB"."""
    return f"{size / 1e9:.2f} GB"


def _data(corpus: Corpus, plan: Plan) -> str:
    prediction = plan.prediction
    frames = round(corpus.longest_seconds * prediction.output_frames_per_second)
    padding = f"padding is {100 * prediction.padding:.1f} % of what is computed"
    return (
        f"The training split of {corpus.recipe} has {corpus.hours:.2f} h in {corpus.utterances} utterances; half of "
        f"them are shorter than {corpus.median_seconds:.1f} s, and the longest, {corpus.longest_seconds:.1f} s, takes "
        f"a recurrent layer {frames} steps; {padding}"
        + (": lower batching.length_jitter." if prediction.padding > MUCH_PADDING else ", so the batches suit them.")
    )


def _speed(plans: Sequence[Plan]) -> list[str]:
    first, *others = sorted(plans, key=lambda plan: plan.prediction.epoch_seconds)
    quickest = first.prediction
    speed = quickest.audio_seconds / quickest.epoch_seconds
    sentences = [
        f"{first.label} takes {duration(quickest.epoch_seconds)} for an epoch of {quickest.audio_seconds / 3600:.2f} h "
        f"of audio, {speed:.0f}x real time; {duration(quickest.validation_seconds)} of it is validation."
    ]
    for plan in others:
        ratio = plan.prediction.epoch_seconds / quickest.epoch_seconds
        work = plan.prediction.multiply_adds_per_second / quickest.multiply_adds_per_second
        says = "the same time, as far as this trial can tell" if ratio < 1 + ALIKE else f"{ratio:.2f} times as long"
        sentences.append(
            f"{plan.label} takes {says} ({duration(plan.prediction.epoch_seconds)}), with {work:.2f} times the "
            f"multiply-adds of {first.label}."
        )
    return sentences


def _time(plans: Sequence[Plan], budget: Budget) -> str:
    if budget.seconds is None:
        totals = (
            f"{plan.label} {duration(plan.prediction.total_seconds)} for {plan.prediction.epochs} epochs"
            for plan in plans
        )
        return f"A whole training takes at most: {', '.join(totals)}; plan.minutes asks what fits a shorter time."
    parts = []
    for plan in plans:
        prediction, fitting = plan.prediction, plan.prediction.epochs_within(budget.seconds)
        if fitting >= prediction.epochs:
            parts.append(f"{plan.label} ends all {prediction.epochs} epochs after {duration(prediction.total_seconds)}")
        elif fitting:
            parts.append(
                f"{plan.label} ends {fitting} of its {prediction.epochs} epochs (training.epochs={fitting} lets the "
                "learning rate end there too)"
            )
        else:
            parts.append(f"{plan.label} does not finish its first epoch of {duration(prediction.epoch_seconds)}")
    return f"Within {budget.seconds / 60:g} min, {'; '.join(parts)}."


def _memory(plans: Sequence[Plan], budget: Budget) -> list[str]:
    sentences = []
    fitting = [plan for plan in plans if _fits_memory(plan, budget)]
    if fitting:
        largest = max(fitting, key=lambda plan: plan.prediction.peak_bytes)
        prediction = largest.prediction
        sentences.append(
            f"{'The largest that fits' if len(plans) > 1 else 'It fits'}: {largest.label} peaks at "
            f"{gigabytes(prediction.peak_bytes)} of {gigabytes(budget.memory)} with {prediction.batch_seconds:.0f} s "
            f"of padded audio per micro-batch, and {prediction.batch_seconds_within(budget.memory)} s would fit."
        )
    for plan in plans:
        if plan in fitting:
            continue
        seconds = plan.prediction.batch_seconds_within(budget.memory)
        sentences.append(
            f"{plan.label} needs {gigabytes(plan.prediction.peak_bytes)}, more than {100 * (1 - MARGIN):.0f} % of "
            f"{gigabytes(budget.memory)}: "
            + (f"set batching.max_device_seconds={seconds}, the gradients stay the same." if seconds else
               f"it takes {gigabytes(plan.prediction.base_bytes)} before any audio, so lower model.hidden.")
        )  # fmt: skip
    return sentences


def _accuracy(corpus: Corpus, plans: Sequence[Plan]) -> str:
    known = [
        f"{plan.stored.run} has a {_rate(plan.stored)} with {plan.stored.parameters / 1e6:.2f} M parameters"
        for plan in plans
        if plan.stored is not None
    ]
    unknown = [plan.label for plan in plans if plan.stored is None]
    said = f"On test, by the stored results of {corpus.recipe}, {'; '.join(known)}" if known else ""
    if not unknown:
        return f"{said}."
    missing = f"no result of {', '.join(unknown)} is stored with {corpus.recipe}, and a plan predicts none"
    return f"{said}; {missing}." if known else f"{missing[0].upper()}{missing[1:]}."


def _verdict(plans: Sequence[Plan], budget: Budget) -> str:
    fitting = [plan for plan in plans if _fits_memory(plan, budget) and _epochs(plan, budget)]
    if not fitting:
        return "None of this fits: lower model.hidden or batching.max_device_seconds, or give more time or memory."
    whole = [plan for plan in fitting if _epochs(plan, budget) >= plan.prediction.epochs] or fitting
    quickest = min(whole, key=lambda plan: plan.prediction.epoch_seconds)
    epoch = duration(quickest.prediction.epoch_seconds)
    if len(plans) == 1:
        return f"Go on with {quickest.label}: {_epochs(quickest, budget)} epochs of {epoch} fit."
    known = [plan for plan in whole if plan.stored is not None]
    best = min(known, key=_stored_rate, default=quickest)
    begin = f"Begin with {quickest.label}: of what fits it is the quickest, {epoch} an epoch, and"
    if best is quickest:
        return f"{begin} no stored result speaks for another."
    assert best.stored is not None
    if quickest.stored is None:
        return f"{begin} only a training tells whether it reaches the {_percent(best.stored.rate)} of {best.label}."
    if best.stored.interval[1] >= quickest.stored.rate:
        return f"{begin} its {_rate(quickest.stored)} lies within the interval of {best.label}, {_rate(best.stored)}."
    return (
        f"Begin with {best.label}: its {_rate(best.stored)} is below the {_rate(quickest.stored)} of {quickest.label}, "
        "the quickest."
    )


def _fits_memory(plan: Plan, budget: Budget) -> bool:
    return plan.prediction.peak_bytes <= (1 - MARGIN) * budget.memory


def _epochs(plan: Plan, budget: Budget) -> int:
    """How many epochs fit the budget, of those that are configured."""
    epochs = plan.prediction.epochs
    return epochs if budget.seconds is None else min(epochs, plan.prediction.epochs_within(budget.seconds))


def _stored_rate(plan: Plan) -> float:
    assert plan.stored is not None
    return plan.stored.rate


def _rate(results: Results) -> str:
    low, high = (100 * end for end in results.interval)
    return f"{results.unit.label} of {_percent(results.rate)} ({low:.2f} - {high:.2f} %)"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


HEADINGS = (
    "model", "parameters", "multiply-adds/s", "epoch", "validation", "epochs", "total", "peak memory", "per batch",
    "fits per batch",
)  # fmt: skip


def plan_table(plans: Sequence[Plan], budget: Budget) -> str:
    """A line for each model under a line of headings.

    multiply-adds/s is per second of audio, forward pass; per batch is the padded audio of the largest planned
    micro-batch, and fits per batch what the memory would hold.
    """
    return table(HEADINGS, [_row(plan, budget) for plan in plans])


def _row(plan: Plan, budget: Budget) -> tuple[str, ...]:
    prediction = plan.prediction
    return (
        plan.label,
        f"{prediction.parameters / 1e6:.2f} M",
        f"{prediction.multiply_adds_per_second / 1e6:.0f} M",
        duration(prediction.epoch_seconds),
        duration(prediction.validation_seconds),
        str(prediction.epochs),
        duration(prediction.total_seconds),
        gigabytes(prediction.peak_bytes),
        f"{prediction.batch_seconds:.0f} s",
        f"{prediction.batch_seconds_within(budget.memory)} s",
    )
