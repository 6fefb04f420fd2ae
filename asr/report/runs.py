"""Run folders as a report reads them: finished, still in training, or of an earlier version."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import Any

import yaml

from asr.common.documents import json_object, read_bytes, read_json, read_text, read_yaml
from asr.common.errors import RunError, asr_command
from asr.data.manifest import read_manifest
from asr.model.folder import WEIGHTS
from asr.scoring.error_unit import ErrorUnit, unit_of_setting
from asr.scoring.provenance import PROVENANCE, kept_identity
from asr.scoring.results import scored_by, with_normalized_texts
from asr.settings.compose import flattened
from asr.settings.recipe import MODEL, SETTINGS, runs_in
from asr.settings.runs import find_data
from asr.text.word_classes import word_classes
from asr.tracking.metrics import Row, metrics_path, read_metrics, read_panel
from asr.training.identity import ARITHMETIC, DEV_MANIFEST, determines_weights, without_groups

log = logging.getLogger(__name__)

LISTED = 20
"""The most hypotheses of an utterance that are shown."""
SKIPPED = "is skipped: its loss or gradient is not finite"

ODD = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading a file raises that is not as it was written."""


@dataclass(frozen=True)
class Evaluation:
    """The results of a run on a split with a decoder."""

    folder: Path
    split: str
    decoder: str
    results: Mapping[str, Any]
    """The content of results.json."""
    normalized: bool = False
    """Whether it is of words that went through `scoring.normalizer`, which `decoder` names."""

    @property
    def unit(self) -> ErrorUnit:
        """What errors are counted in."""
        return ErrorUnit(self.results.get("unit", "word"))

    @property
    def stamp(self) -> str:
        """Changes whenever the evaluation is repeated."""
        return f"{self.folder}:{(self.folder / 'results.json').stat().st_mtime_ns}{self.decoder * self.normalized}"

    def rows(self) -> list[dict[str, Any]]:
        """The lines of hypotheses.jsonl.

        Raises:
            RunError: There is no such file, or a line of it is damaged.
        """
        path = self.folder / "hypotheses.jsonl"
        try:
            rows = [json_object(line) for line in read_text(path).split("\n") if line.strip()]
            rows = [with_normalized_texts(row) for row in rows] if self.normalized else rows
            strings = (row["id"] + row["speaker"] + row["reference"] + row["hypothesis"] for row in rows)
            usable = all(isinstance(text, str) for text in strings)
            if rows and usable and all(_can_be_scored(row, self.normalized) for row in rows):
                return rows
        except ODD as error:
            raise RunError(f"{path} cannot be used ({error!r}): run {self._again} again.") from None
        raise RunError(f"{path} has a line that is not a hypothesis: run {self._again} again.")

    def nbest(self) -> dict[str, list[tuple[str, float]]]:
        """The best hypotheses of each utterance by its id, with their scores; none where they were not kept."""
        path = self.folder / "nbest.jsonl"
        if not path.is_file():
            return {}
        try:
            rows = [json_object(line) for line in read_text(path).split("\n") if line.strip()]
            return {
                str(row["id"]): [
                    (str(one["text"]), round(float(one["score"]), 3)) for one in row["hypotheses"][:LISTED]
                ]
                for row in rows
            }
        except ODD as error:
            log.warning("%s cannot be used and is left out (%r): run %s again.", path, error, self._again)
            return {}

    @property
    def _again(self) -> str:
        return asr_command("evaluate", self.folder.parents[2])


@dataclass(frozen=True)
class Progress:
    """How far a training has come."""

    last: Row
    """The newest row of metrics; empty where there is none."""
    dev_rate: float | None
    """The lowest error rate on dev after an epoch, in the unit of the run."""
    speed: float | None
    """Hours of audio per hour when it was last measured."""


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def recipe(self) -> str:
        """The recipe's name, which is that of the parent folder."""
        return self.folder.parent.name

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of config.yaml by their full key, without groups; unchecked, since they may be of an earlier
        version, which counted errors in words.

        Raises:
            RunError: They cannot be read.
        """
        path = self.folder / SETTINGS
        try:
            read = read_yaml(path)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise RunError(f"{path} cannot be read ({' '.join(str(error).split())}).") from None
        flat = {"scoring.unit": "word"} | without_groups(flattened(read))
        return {intern(key): value for key, value in flat.items()}  # the same in all runs

    @property
    def unit(self) -> ErrorUnit:
        """What the errors on dev were counted in, which chose the best model."""
        return unit_of_setting(self.settings["scoring.unit"])

    @cached_property
    def dev_manifest(self) -> str | None:
        """The checksum of the dev manifest that its model was chosen on; None where the run is older than it."""
        return kept_identity(self.folder).get(DEV_MANIFEST)

    @property
    def date(self) -> str:
        """When the training last wrote something."""
        written = next(path for path in (metrics_path(self.folder), self.folder / SETTINGS) if path.exists())
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(written.stat().st_mtime))

    @cached_property
    def origin(self) -> dict[str, str]:
        """Command, commit, hardware, torch and host of the process that began the training; empty where the run is
        older than that, or the file is damaged."""
        try:
            kept = read_json(self.folder / PROVENANCE)
            return {name: value for name, value in kept.items() if isinstance(value, str)}
        except ODD:
            return {}

    @property
    def tags(self) -> list[str]:
        """`tracker.tags`."""
        tags = self.settings.get("tracker.tags")
        return [str(tag) for tag in tags] if isinstance(tags, list) else []

    @cached_property
    def model_key(self) -> str:
        """What it is beside its seed: the same for runs that differ in nothing else that determines the weights."""
        counted = {key: value for key, value in self.settings.items() if determines_weights(key) and key != "seed"}
        content = json.dumps([self.recipe, counted], sort_keys=True, default=str)
        return hashlib.sha256(content.encode(errors="backslashreplace")).hexdigest()[:10]

    @property
    def metrics(self) -> list[Row]:
        """The rows of metrics.jsonl, none where there is no such file. They are not kept: runs may be thousands."""
        return read_metrics(self.folder)

    @cached_property
    def progress(self) -> "Progress":
        """How far its training has come.

        Raises:
            RunError: Its metrics are damaged.
        """
        rows, figure, speed = self.metrics, f"dev/{self.unit.rate}", "time/audio_hours_per_hour"
        best = min((row[figure] for row in rows if figure in row), default=None)
        return Progress(rows[-1] if rows else {}, best, next((row[speed] for row in rows[::-1] if speed in row), None))

    @cached_property
    def panel(self) -> list[Row]:
        """The rows of panel.jsonl, none where there is no such file."""
        return read_panel(self.folder)

    @cached_property
    def skipped(self) -> list[str]:
        """The lines of train.log that name skipped steps; none where it cannot be read."""
        try:
            lines = read_bytes(self.folder / "train.log").decode("utf-8", errors="replace").splitlines()
        except (OSError, ValueError):
            return []
        return [line for line in lines if SKIPPED in line]

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations by split, decoder and rules of normalization; a damaged one is skipped with a warning."""
        found = []
        for path in sorted(self.folder.glob("evaluation/*/*/results.json")):
            try:
                results = read_json(path)
                unit = ErrorUnit(results.get("unit", "word"))
                rate = unit.rate
                for figures in (results, results.get("normalized") or results):
                    _require_numbers(figures, (rate, unit.other.rate, f"{rate}_low", f"{rate}_high"))
            except ODD as error:
                again = asr_command("evaluate", self.folder)
                log.warning("%s cannot be used and is left out (%r): run %s again.", path, error, again)
            else:
                split, decoder = path.parent.parent.name, path.parent.name
                found.append(Evaluation(path.parent, split, decoder, results))
                if figures := results.get("normalized"):
                    name = scored_by(decoder, figures["normalizer"])
                    found.append(Evaluation(path.parent, split, name, {**results, **figures}, normalized=True))
        return found

    def reliability(self, split: str) -> dict[str, Any] | None:
        """How far the confidences of words can be trusted, as `asr calibrate` measured it; None where it did not."""
        path = self.folder / "calibration" / split / "calibration.json"
        try:
            read = read_json(path)
            _require_numbers(read, ("words", "right", "ece", "nce"))
            for one in read["bins"]:
                _require_numbers(one, ("words", "confidence", "right"))
            return dict(read)
        except FileNotFoundError:
            return None
        except ODD as error:
            log.warning(
                "%s cannot be used and is left out (%r): run %s again.",
                path,
                error,
                asr_command("calibrate", self.folder),
            )
            return None

    @property
    def model(self) -> Path | None:
        """The folder of the best model, where there is one."""
        model = self.folder / MODEL
        return model if (model / WEIGHTS).is_file() else None

    def data(self, override: Path | None = None) -> Path | None:
        """The folder of the recipe's manifests, None where it is not found; `override` replaces `paths.data`.

        A relative path is resolved from the current folder, then from the folder where the training ran.
        """
        settings = self.settings
        data = override or Path(str(settings.get("paths.data", "data")))
        root = find_data(data, Path(str(settings.get("paths.runs", "runs"))), self.folder.parents[1], self.recipe)
        return None if root is None else root / self.recipe

    def signature(self) -> str:
        """Changes whenever the training or an evaluation writes a file."""
        paths = [
            self.folder / SETTINGS,
            metrics_path(self.folder),
            *self.folder.glob("evaluation/*/*/results.json"),
            *self.folder.glob("calibration/*/calibration.json"),
        ]
        return repr([(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.exists()])


@dataclass(frozen=True)
class CorpusWords:
    """What is known of the words of a corpus."""

    classes: Mapping[str, frozenset[str]]
    """Words in lower case, by class."""
    vocabulary: frozenset[str] | None
    """Of the training transcripts; None where there is no manifest."""


def corpus_words(run: Run, data: Path | None = None) -> CorpusWords:
    """The words of the corpus that a run was trained on; `data` replaces `paths.data`.

    Raises:
        DataError: The manifest, or the lists of words, are damaged.
    """
    folder, language = run.data(data), run.settings.get("text.language")
    manifest = None if folder is None else folder / "train.jsonl"
    known = manifest is not None and manifest.is_file()
    utterances = read_manifest(manifest) if known and manifest is not None else []
    vocabulary = frozenset(word for utterance in utterances for word in utterance.text.split())
    classes = word_classes(folder, language if isinstance(language, str) else None)
    return CorpusWords(classes, vocabulary if known else None)


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs at paths, each a run folder or a folder of run folders; in the order given, each once.

    Raises:
        RunError: There is none at a path.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        inside = [path] if (path / SETTINGS).is_file() else runs_in(path)
        inside = [folder for folder in inside if not folder.name.startswith(".")]
        if not inside:
            raise RunError(f"No run at {path}: a run folder has a {SETTINGS}, such as runs/RECIPE/NAME-HASH.")
        folders |= dict.fromkeys(folder.absolute() for folder in inside)
    return [Run(folder) for folder in folders]


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """The keys in which runs differ, of those that determine the weights."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [
        key
        for key in keys
        if (determines_weights(key) or key in ARITHMETIC) and len({repr(run.settings.get(key)) for run in runs}) > 1
    ]


def _can_be_scored(row: Mapping[str, Any], may_be_empty: bool) -> bool:
    """Whether a line of hypotheses.jsonl has words to find errors in, and numbers where they belong."""
    _require_numbers(row, ("duration", *(key for key in OF_A_MODEL if row.get(key) is not None)))
    return (may_be_empty or bool(row["reference"].strip())) and 0 < row["duration"] < math.inf


OF_A_MODEL = ("ctc_loss_per_token", "confidence")
"""Figures of an utterance that only some evaluations have."""


def _require_numbers(values: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        if isinstance(values[key], bool) or not isinstance(values[key], int | float):
            raise ValueError(f"{key} is {str(values[key])[:40]!r} and not a number")
        float(values[key])  # a whole number may be too large
