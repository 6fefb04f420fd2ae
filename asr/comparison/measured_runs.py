"""A finished run as it is compared: its scores, its curve and what it cost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.common.documents import json_object, read_text
from asr.common.errors import RunError, asr_command
from asr.decoding.setup import GREEDY
from asr.features.extractor import FeatureExtractor
from asr.inference.finished_run import FinishedRun
from asr.model.acoustic import multiply_adds_per_second
from asr.scoring.error_rates import UtteranceScore, score_texts
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import FRAME_KEYS, Results, read_results, with_normalized_texts
from asr.settings.recipe import MODEL
from asr.settings.root import Config
from asr.text.tokenizer import load_tokenizer
from asr.tracking.metrics import Row, read_metrics
from asr.training.identity import flat_weight_settings

HYPOTHESES = "hypotheses.jsonl"
NO_TEXT: dict[str, Any] = dict.fromkeys(("words", "characters", "word_errors", "character_errors", "substitutions"), 0)
"""The counts of recordings whose frames are labelled."""


@dataclass(frozen=True)
class DevPoint:
    """The dev split after an epoch."""

    epoch: float
    seconds: float
    """Training time (s)."""
    rate: float
    """The error rate that counts."""


@dataclass(frozen=True)
class MeasuredRun:
    """A run that was trained and evaluated."""

    path: Path
    config: Config
    dev: Results | None
    """None where the training learned from dev too."""
    test: Results
    """Of normalized words, where `scoring.normalizer` was set."""
    scores: list[UtteranceScore]
    """Of the test split, in the order of its manifest."""
    curve: list[DevPoint]
    audio_hours_per_hour: float
    """Hours of input, after speed perturbation, for each hour of training steps."""
    peak_memory_mb: float | None
    """None where the training did not measure it."""

    @property
    def best_dev_rate(self) -> float:
        """The lowest of the curve."""
        return min(point.rate for point in self.curve)

    def seconds_to(self, dev_rate: float) -> float | None:
        """Training time (s) until the error rate on dev was first this low; None where it never was."""
        return next((point.seconds for point in self.curve if point.rate <= dev_rate), None)


def read_run(path: Path, decoder: str = GREEDY) -> MeasuredRun:
    """Reads a run folder, with the results of a decoder.

    Raises:
        RunError: It is no run, not trained or not evaluated, or damaged.
        ConfigError: Its settings cannot be read.
    """
    run = FinishedRun.at(path)
    config, folder = run.config, run.evaluation("test", decoder)
    there = sorted(results.parent.name for results in path.glob("evaluation/test/*/results.json"))
    if there and decoder not in there:
        raise RunError(f"{path} was evaluated with {', '.join(there)} and not with {decoder}: give --decoder.")
    dev = None if config.training.with_dev else read_results(run.evaluation("dev", decoder)).of_normalized
    raw, rows = read_results(folder), read_metrics(path)
    test = raw.of_normalized
    figure = f"dev/{test.unit.rate}"
    curve = [DevPoint(row["epoch"], row["seconds"], row[figure]) for row in rows if figure in row]
    if not curve:
        raise RunError(f"{path} has no dev {test.unit.label}: train it with {asr_command('train', path)} first.")
    peaks = [row["system/peak_memory_mb"] for row in rows if "system/peak_memory_mb" in row]
    return MeasuredRun(
        path=path,
        config=config,
        dev=dev,
        test=test,
        scores=read_scores(folder, test.unit, normalized=raw.normalized is not None),
        curve=curve,
        audio_hours_per_hour=_speed(rows),
        peak_memory_mb=max(peaks, default=None),
    )


def multiply_adds(run: MeasuredRun) -> float:
    """Multiply-adds of the model of a run for a second of audio.

    Raises:
        RunError: The run has no model.
    """
    dim = FeatureExtractor(run.config.features, run.config.data.sampling_rate).dim
    tokens = load_tokenizer(run.path / MODEL).size
    return sum(multiply_adds_per_second(run.config.model, dim, tokens, run.config.features.hop_ms).values())


def read_scores(folder: Path, unit: ErrorUnit = ErrorUnit.word, normalized: bool = False) -> list[UtteranceScore]:
    """Reads the hypotheses.jsonl of an evaluation and counts its errors again, in words or characters, perhaps those of
    its normalized words; those of frames are as they were counted.

    Raises:
        RunError: There is none, or it is damaged.
    """
    path, again = folder / HYPOTHESES, asr_command("evaluate", folder.absolute().parents[2])
    try:
        rows = [json_object(line) for line in read_text(path).split("\n") if line]
        if normalized:
            rows = [with_normalized_texts(row) for row in rows]
        names = ("id", "speaker", "duration", "reference", "hypothesis")
        if unit.of_text:
            scores = [score_texts(**{name: row[name] for name in names}, unit=unit) for row in rows]
        else:
            scores = [UtteranceScore(unit=unit, **NO_TEXT, **{name: row[name] for name in FRAME_KEYS}) for row in rows]
    except OSError as error:
        raise RunError(f"No hypotheses at {path} ({error.strerror}): run {again} first.") from None
    except (ValueError, TypeError, KeyError):
        raise RunError(f"{path} is damaged: run {again} again.") from None
    if not scores:
        raise RunError(f"{path} is empty: run {again} again.")
    return scores


def _speed(rows: list[Row]) -> float:
    """Hours of audio for each hour of training steps, over the whole training; a row may cover several steps."""
    hours = elapsed = 0.0
    before = 0
    for row in rows:
        if "time/step_seconds" in row:
            seconds = (row["step"] - before) * row["time/step_seconds"]
            hours += seconds * row["time/audio_hours_per_hour"]
            elapsed += seconds
            before = row["step"]
    return hours / elapsed if elapsed else float("nan")


def group_runs(runs: Sequence[MeasuredRun]) -> dict[str, list[MeasuredRun]]:
    """The runs of each model by its label, in the order of their first runs, the seeds ascending.

    A label is the name of the runs; models that share a name have the settings in which they differ in their label.
    """
    groups: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.test.recipe, _settings(run.config)], sort_keys=True), []).append(run)
    models = [sorted(group, key=lambda run: run.config.seed) for group in groups.values()]
    names = [group[0].config.name for group in models]
    return {
        (group[0].config.name if names.count(group[0].config.name) == 1 else _long_label(group[0], models)): group
        for group in models
    }


def _settings(config: Config) -> dict[str, object]:
    """What determines the weights, except the seed, by full key."""
    return {key: value for key, value in flat_weight_settings(config).items() if key != "seed"}


def _long_label(run: MeasuredRun, models: Sequence[Sequence[MeasuredRun]]) -> str:
    """The run's name and its values of the settings in which runs of this name differ."""
    same_name = [_settings(group[0].config) for group in models if group[0].config.name == run.config.name]
    here = _settings(run.config)
    differing = [key for key in here if any(settings.get(key) != here[key] for settings in same_name)]
    return ", ".join([run.config.name, *(f"{key}={here[key]}" for key in differing)])
