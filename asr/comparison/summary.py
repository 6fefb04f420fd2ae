"""A comparison as data: everything that its page, its plots and its sentences need."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.common.documents import from_json, read_json
from asr.common.errors import RunError
from asr.common.files import atomic_write_text
from asr.comparison.context_use import ContextUse
from asr.comparison.measured_runs import MeasuredRun
from asr.scoring.bootstrap import Difference, Estimate, differences, estimate, resampled_rates
from asr.scoring.error_rates import UtteranceScore, unit_of
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import Results

SUMMARY = "comparison.json"
LENGTH_CLASSES = 4
FEWEST_IN_CLASS = 5


@dataclass(frozen=True)
class Spread:
    """A figure of several runs."""

    mean: float
    deviation: float | None
    """Standard deviation over the runs; null where there is one."""


@dataclass(frozen=True)
class LengthClass:
    """Test utterances of similar length."""

    shortest: float
    """Seconds."""
    longest: float
    """Seconds."""
    utterances: int
    words: int
    characters: int | None = None
    """Null where errors are counted in words."""
    frames: int | None = None
    """Null where they are not labelled."""


@dataclass(frozen=True)
class RunSummary:
    """One training and its evaluation. Rates are fractions."""

    seed: int
    dev: Results | None
    """Null where the training data includes dev."""
    test: Results
    epochs: float
    """Epochs done."""
    threads: int | None
    """CPU threads; null took all cores."""
    curve_seconds: list[float]
    """Time in training (s) at each measurement of dev."""
    curve_wer: list[float]
    """The WER on dev, or the CER where that counts."""
    seconds_to_dev_wer: float | None
    """Training time (s) until it was as low as the comparison's `dev_wer`; null where it never was."""
    audio_hours_per_hour: float
    """Hours of input, after speed perturbation, for each hour of training steps."""
    peak_memory_mb: float | None
    """Most memory of the training process, or of its GPU; null where it was not measured."""
    memory: ContextUse | None
    """Null where it was not measured."""


@dataclass(frozen=True)
class ModelSummary:
    """A model, over its runs."""

    label: str
    cells: list[str]
    """Of each recurrent layer, or one for all."""
    layers: int
    hidden: int
    """Units of each direction of a recurrent layer."""
    parameters: int
    multiply_adds_per_second: float | None
    """Multiplications with an addition for each second of audio; null where they were not counted."""
    wer: Estimate | None
    """Null, as the CER, where frames are labelled."""
    cer: Estimate | None
    dev_wer: Spread | None
    """Or the CER where that counts; null where the training data of a run includes dev."""
    train_seconds: Spread
    seconds_to_dev_wer: Spread | None
    """Null where a run did not reach it."""
    audio_hours_per_hour: Spread
    peak_memory_mb: Spread | None
    real_time_factor: Spread
    by_length: list[Estimate]
    """The error rate that counts, in each of the comparison's classes of length."""
    runs: list[RunSummary]
    unit: ErrorUnit = ErrorUnit.word
    """What errors are counted in."""
    frame_error: Estimate | None = None
    """Null, as the next, where there are texts."""
    segment_error: Estimate | None = None

    @property
    def rate(self) -> Estimate:
        """The error rate that counts."""
        return self.rate_in(self.unit)

    @property
    def other_rate(self) -> Estimate:
        """The other error rate."""
        return self.rate_in(self.unit.other)

    def rate_in(self, unit: ErrorUnit) -> Estimate:
        """The error rate in a unit, in which errors were counted."""
        rate: Estimate | None = getattr(self, unit.rate)
        assert rate is not None, unit
        return rate

    @property
    def context_use(self) -> list[ContextUse]:
        """Of the runs where it was measured."""
        return [run.memory for run in self.runs if run.memory is not None]


@dataclass(frozen=True)
class Comparison:
    """Models, each trained with several seeds. Rates are fractions."""

    name: str
    recipe: str
    command: str
    commit: str | None
    hardware: str
    torch: str
    decoder: str
    parameters: float | None
    """The size of every model; null where sizes were taken as they are."""
    minutes: float | None
    """The training time of every run; null where epochs were taken as they are."""
    dev_wer: float
    """The dev WER, or CER where that counts, that the time to reach it is measured to."""
    utterances: int
    """Of the test split."""
    words: int
    speakers: int
    """Of the test split: whole speakers were resampled where there are several, else utterances."""
    lengths: list[LengthClass]
    models: list[ModelSummary]
    pairs: list[Difference]
    failed: dict[str, str]
    """By the name of each run that failed, the last line of its output."""
    unit: ErrorUnit = ErrorUnit.word
    """What errors are counted in."""
    characters: int | None = None
    """Of the test split; null where errors are counted in words."""
    frames: int | None = None
    """Of the test split; null where they are not labelled."""


def shown_size(part: Comparison | LengthClass) -> str:
    """The size of the references in what errors are counted in, as "620 words"."""
    if part.frames is not None:
        return f"{part.frames} frames"
    return f"{part.words} words" if part.characters is None else f"{part.characters} characters"


@dataclass(frozen=True)
class Origin:
    """The name of a comparison and where it comes from."""

    name: str
    recipe: str
    command: str
    commit: str | None
    hardware: str
    torch: str
    parameters: float | None = None
    minutes: float | None = None
    dev_wer: float | None = None


def summarize(
    origin: Origin,
    models: Mapping[str, Sequence[MeasuredRun]],
    multiply_adds: Callable[[MeasuredRun], float | None],
    context: Mapping[Path, ContextUse],
    failed: Mapping[str, str],
) -> Comparison:
    """Computes a comparison of finished runs.

    Args:
        models: By label, their finished runs.
        multiply_adds: Counts them for the model of a run, for a second of audio.
        context: The use of context by run folder, where it was measured.
        failed: By run, why it is missing.

    Raises:
        RunError: There is no run, or they were not scored on the same utterances with the same decoder and in the same
            unit.
    """
    runs = [run for group in models.values() for run in group]
    if not runs:
        raise RunError("There is no finished run to compare.")
    decoders = sorted({run.test.decoder for run in runs})
    if len(decoders) > 1:
        raise RunError(
            f"The runs were scored with several decoders or rules ({', '.join(decoders)}): choose a decoder, and "
            "evaluate all runs with the same scoring.normalizer."
        )
    by_unit = {run.test.unit: run.path.name for run in runs}
    if len(by_unit) > 1:
        raise RunError(
            f"Errors are counted in {' and in '.join(f'{unit}s ({run})' for unit, run in by_unit.items())}: evaluate "
            "all runs with the same scoring.unit."
        )
    (unit,) = by_unit
    scores = {label: [run.scores for run in group] for label, group in models.items()}
    units = [one for one in ErrorUnit if one in (unit, unit.other)]
    drawn = {one: resampled_rates(scores, one) for one in units}
    first = runs[0].scores
    classes = length_classes(first)
    by_length = [_rates_of(scores, places) for places in classes]
    dev_wer = origin.dev_wer if origin.dev_wer is not None else max(run.best_dev_rate for run in runs)
    summaries = [
        ModelSummary(
            label=label,
            cells=[cell.name for cell in group[0].config.model.cells],
            layers=group[0].config.model.layers,
            hidden=group[0].config.model.hidden,
            parameters=group[0].test.parameters,
            multiply_adds_per_second=multiply_adds(group[0]),
            **dict.fromkeys(("wer", "cer"))
            | {one.rate: estimate(scores[label], drawn[one][label], one) for one in units},
            dev_wer=_spread_if_all(None if run.dev is None else run.dev.rate for run in group),
            train_seconds=_spread(run.test.train_seconds for run in group),
            seconds_to_dev_wer=_spread_if_all(run.seconds_to(dev_wer) for run in group),
            audio_hours_per_hour=_spread(run.audio_hours_per_hour for run in group),
            peak_memory_mb=_spread_if_all(run.peak_memory_mb for run in group),
            real_time_factor=_spread(run.test.real_time_factor for run in group),
            by_length=[rates[label] for rates in by_length],
            runs=[_run_summary(run, dev_wer, context.get(run.path)) for run in group],
            unit=unit,
        )
        for label, group in models.items()
    ]
    return Comparison(
        **vars(origin) | {"dev_wer": dev_wer},
        decoder=decoders[0],
        utterances=len(first),
        words=sum(score.words for score in first),
        speakers=len({score.speaker for score in first if score.speaker}),
        lengths=[_length_class([first[place] for place in places]) for places in classes],
        models=summaries,
        pairs=differences(scores, drawn[unit]),
        failed=dict(failed),
        unit=unit,
        characters=_characters(first),
        frames=_frames(first),
    )


def length_classes(scores: Sequence[UtteranceScore]) -> list[list[int]]:
    """Up to four classes of equally many utterances, the shortest first: the indices of each class in `scores`."""
    order = np.argsort([score.duration for score in scores], kind="stable")
    count = max(1, min(LENGTH_CLASSES, len(scores) // FEWEST_IN_CLASS))
    return [sorted(part.tolist()) for part in np.array_split(order, count)]


def write_summary(path: Path, comparison: Comparison) -> None:
    """Writes a comparison as JSON, whole or not at all."""
    atomic_write_text(path, json.dumps(asdict(comparison), indent=1, ensure_ascii=False) + "\n")


def read_summary(path: Path) -> Comparison:
    """Reads it back.

    Raises:
        RunError: There is none, or it is damaged or of another version.
    """
    try:
        return from_json(Comparison, read_json(path))
    except OSError as error:
        raise RunError(f"No comparison at {path} ({error.strerror}).") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is no comparison of this version ({error}): repeat its command.") from None


def _rates_of(scores: Mapping[str, Sequence[Sequence[UtteranceScore]]], places: Sequence[int]) -> dict[str, Estimate]:
    part = {label: [[one[place] for place in places] for one in trainings] for label, trainings in scores.items()}
    drawn = resampled_rates(part)
    return {label: estimate(part[label], drawn[label]) for label in part}


def _length_class(scores: Sequence[UtteranceScore]) -> LengthClass:
    durations = [score.duration for score in scores]
    words = sum(score.words for score in scores)
    return LengthClass(min(durations), max(durations), len(scores), words, _characters(scores), _frames(scores))


def _characters(scores: Sequence[UtteranceScore]) -> int | None:
    """Of the references, where errors are counted in characters."""
    unit = unit_of(scores)
    return sum(score.characters for score in scores) if unit is ErrorUnit.character else None


def _frames(scores: Sequence[UtteranceScore]) -> int | None:
    """The labelled frames; None where there are texts."""
    return None if unit_of(scores).of_text else sum(score.frames for score in scores)


def _run_summary(run: MeasuredRun, dev_wer: float, context: ContextUse | None) -> RunSummary:
    return RunSummary(
        seed=run.config.seed,
        dev=run.dev,
        test=run.test,
        epochs=run.curve[-1].epoch,
        threads=run.config.hardware.threads,
        curve_seconds=[round(point.seconds, 2) for point in run.curve],
        curve_wer=[point.rate for point in run.curve],
        seconds_to_dev_wer=run.seconds_to(dev_wer),
        audio_hours_per_hour=run.audio_hours_per_hour,
        peak_memory_mb=run.peak_memory_mb,
        memory=context,
    )


def _spread(values: Any) -> Spread:
    numbers = list(values)
    return Spread(float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None)


def _spread_if_all(values: Any) -> Spread | None:
    numbers = list(values)
    return _spread(numbers) if all(number is not None and math.isfinite(number) for number in numbers) else None
