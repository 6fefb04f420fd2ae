"""The page: one folder that opens in a browser from disk, without a network."""

import json
import logging
import math
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from asr.checks.corpus import Requirements, examine
from asr.checks.findings import FINDINGS, Finding, read_findings
from asr.common.errors import ConfigError, RunError, UserError
from asr.common.files import new_folder
from asr.common.processes import without_garbage_collection
from asr.common.templates import render
from asr.data.manifest import manifest_checksum, read_manifest
from asr.data.splits import SPLITS
from asr.data.utterance import Utterance
from asr.report.data_files import short_hash, write_data, write_whole
from asr.report.evaluations import MOST_TESTED, EvaluationPages
from asr.report.importance import sweep_importance
from asr.report.local_paths import LocalPaths
from asr.report.notes import publish_notes
from asr.report.runs import ODD, Run, differing_settings, find_runs
from asr.report.suspicious import suspicious_utterances
from asr.report.utterance_media import AudioChoice
from asr.settings.compose import load_config
from asr.settings.recipe import SETTINGS
from asr.tracking.diagnostics import CHECKS, diagnose, series

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
MARK = ".asr-report"
SCRIPTS = (
    "dom", "address", "store", "notes", "choosing", "export", "table", "charts", "forest", "runs", "subgroups",
    "compare", "panel", "training", "reliability", "errors", "picture", "marks", "utterance", "data", "sweep", "app",
)  # fmt: skip
"""The page's own scripts, each after those that it needs."""
TOLD = ("name", "settings", "notes", "command", "diagnostics")
"""What is shown of a run that may have paths of this machine."""


@dataclass(frozen=True)
class ReportOptions:
    """The content of a report."""

    paths: Sequence[Path]
    """Run folders, or folders of them."""
    folder: Path
    """Where the page is written."""
    audio: AudioChoice
    pictures: int
    """Utterances that get a picture with token probabilities: divided among the evaluations, those with the most
    errors first."""
    data: Path | None
    """Replaces `paths.data` of the runs."""
    live: bool = False
    """Whether the page asks its server for newer data."""


class Report:
    """Builds a report, and rebuilds what has changed.

    Raises:
        RunError: The folder has other files.
    """

    def __init__(self, options: ReportOptions) -> None:
        self.options = options
        self._corpora: dict[Path, dict[str, Any] | None] = {}
        self._evaluations = EvaluationPages(options.folder, options.audio, options.pictures)
        folder = options.folder
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
            raise RunError(f"{folder} has other files: set -o to an empty folder, or to that of an earlier report.")

    def signature(self) -> str:
        """Changes whenever a run of the report writes a file, or a new one begins."""
        return short_hash(*(run.signature() for run in find_runs(self.options.paths)))

    def build(self) -> str:
        """Writes the page; where that fails, no new folder is left behind.

        Returns:
            The signature of its content.

        Raises:
            RunError: There is no run at a path, or none can be read; one of several is left out, and the page names it.
        """
        signature = self.signature()
        with new_folder(self.options.folder), without_garbage_collection():
            self._write(signature)
        return signature

    def _write(self, signature: str) -> None:
        (self.options.folder / MARK).touch()
        found = find_runs(self.options.paths)
        runs, shown, unreadable = [], [], []
        for run, name in zip(found, _distinct_names(found), strict=True):
            try:
                shown.append(self._describe_run(run, name))
                runs.append(run)
            except (UserError, *ODD) as error:
                sentence = str(error) if isinstance(error, UserError) else f"{run.folder} is not as it was written."
                log.warning("A run is left out: %s", sentence)
                unreadable.append({"name": name, "sentence": sentence})
        if not runs:
            raise RunError(f"No run can be read: {unreadable[0]['sentence']}")
        corpora = self._describe_corpora(runs)
        evaluations, pairs = self._evaluations.write(runs, self.options.data)
        paths = LocalPaths(*(run.folder.parent for run in runs), *self._corpora)
        content = {
            "built": time.strftime("%Y-%m-%d %H:%M"),
            "signature": signature,
            "live": self.options.live,
            "runs": [run | {name: paths.without(run[name]) for name in TOLD} for run in shown],
            "differences": differing_settings(runs),
            "importance": [one for split in SPLITS for one in sweep_importance(runs, split)],
            "evaluations": [one | {"command": paths.without(one["command"])} for one in evaluations],
            "pairs": pairs,
            "most_tested": MOST_TESTED,
            "unreadable": paths.without(unreadable),
            "corpora": [one | {name: paths.without(one[name]) for name in ("folder", "findings")} for one in corpora],
            "checks": CHECKS,
        }
        write_data(self.options.folder, "report", content)
        publish_notes(self.options.folder)
        self._write_page(shown)

    def _describe_run(self, run: Run, name: str) -> dict[str, Any]:
        rows, settings = run.metrics, run.settings
        key = short_hash(str(run.folder))
        # The rows by metric, null where a row lacks one.
        metrics = dict.fromkeys(metric for row in rows for metric in row)
        columns = {metric: [_drawn(row.get(metric)) for row in rows] for metric in metrics}
        write_data(self.options.folder, f"run-{key}", columns)
        if run.panel:
            write_data(self.options.folder, f"panel-{key}", run.panel)
        dev = series(rows, f"dev/{run.unit.rate}")
        best = min(dev, key=lambda point: point.value) if dev else None
        last = rows[-1] if rows else {}
        described = {
            "name": name,
            "recipe": run.recipe,
            "key": f"{run.recipe}/{run.name}",
            "file": f"run-{key}",
            "panel": f"panel-{key}" if run.panel else None,
            "settings": settings,
            "model": run.model_key,
            "date": run.date,
            "tags": run.tags,
            "notes": settings.get("tracker.notes"),
            **{name: run.origin.get(name) for name in ("commit", "command", "host", "hardware")},
            "step": last.get("step", 0),
            "epoch": last.get("epoch", 0),
            "epochs": settings.get("training.epochs"),
            "seconds": last.get("seconds", 0),
            "unit": run.unit,
            "best_dev": best and {run.unit.rate: best.value, "epoch": best.epoch},
            "diagnostics": [
                {"kind": one.kind, "severity": one.severity.value, "sentence": one.sentence}
                for one in diagnose(rows, settings, run.skipped)
            ],
        }
        json.dumps(described)  # a date among the settings, or a number without end, concerns this run only
        return described

    def _describe_corpora(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        for run in runs:
            folder = run.data(self.options.data)
            if folder is not None and folder not in self._corpora:
                self._corpora[folder] = self._describe_corpus(run, folder)
        return [corpus for corpus in self._corpora.values() if corpus is not None]

    def _describe_corpus(self, run: Run, folder: Path) -> dict[str, Any] | None:
        try:
            splits = {split: read_manifest(folder / f"{split}.jsonl") for split in SPLITS}
        except UserError as error:
            log.warning("The data view leaves %s out: %s", folder, error)
            return None
        try:
            checksums = {split: manifest_checksum(folder / f"{split}.jsonl") for split in SPLITS}
            checked = read_findings(folder / FINDINGS, checksums)
            if checked is None:
                settings = load_config(run.folder / SETTINGS)
                checked = examine(splits, Requirements.of(settings, splits["train"]), decode=False)
        except ConfigError as error:  # settings of an earlier version
            log.warning("The corpus in %s was not checked: %s", folder, error)
            checked = []
        suspicious = suspicious_utterances(folder, splits, self.options.audio, self.options.folder)
        described = {
            "name": run.recipe,
            "key": short_hash(str(folder)),
            "folder": str(folder),
            "suspicious": suspicious,
        }
        return described | describe(splits, checked)

    def _write_page(self, runs: Sequence[Mapping[str, Any]]) -> None:
        folder = self.options.folder
        shutil.copytree(ASSETS, folder / "assets", dirs_exist_ok=True)
        recipes = sorted({run["recipe"] for run in runs})
        page = render(
            "asr.report",
            "index.html",
            html=True,
            title=f"{', '.join(recipes)}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}",
            scripts=SCRIPTS,
            version=version("asr"),
        )
        write_whole(folder / "index.html", page)


def _drawn(value: Any) -> Any:
    """A number of a curve, as exactly as it can be seen."""
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def _distinct_names(runs: Sequence[Run]) -> list[str]:
    """The shortest ends of the folders' paths that distinguish the runs."""
    for parts in range(1, 20):
        names = ["/".join(run.folder.parts[-parts:]) for run in runs]
        if len(set(names)) == len(names):
            return names
    return [str(run.folder) for run in runs]


BINS = 30
LISTED = 200
"""The most words and findings in a list; the others are counted."""


def describe(splits: Mapping[str, Sequence[Utterance]], findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything that the report shows of a corpus: of its splits, by their names, and of the findings of its check."""
    longest = max((utterance.duration for utterances in splits.values() for utterance in utterances), default=1.0)
    edges = np.linspace(0, longest, BINS + 1)
    known = {word for utterance in splits.get("train", ()) for word in utterance.text.split()}
    return {
        "edges": edges.round(3).tolist(),
        "splits": {split: _describe_split(utterances, edges, known) for split, utterances in splits.items()},
        "characters": _characters(splits),
        "findings": [
            {"severity": one.severity.value, "split": one.split, "id": one.utterance, "message": str(one)}
            for one in findings[:LISTED]
        ],
        "finding_count": len(findings),
    }


def _describe_split(utterances: Sequence[Utterance], edges: Any, known: set[str]) -> dict[str, Any]:
    durations = np.array([utterance.duration for utterance in utterances])
    words = Counter(word for utterance in utterances for word in utterance.text.split())
    unknown = Counter({word: count for word, count in words.items() if word not in known})
    speakers: dict[str, list[float]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance.duration)
    return {
        "utterances": len(utterances),
        "seconds": round(float(durations.sum()), 2),
        "shortest": round(float(durations.min()), 3),
        "median": round(float(np.median(durations)), 3),
        "longest": round(float(durations.max()), 3),
        "histogram": np.histogram(durations, edges)[0].tolist(),
        "words": words.total(),
        "different_words": len(words),
        "unknown_words": unknown.total(),
        "unknown": unknown.most_common(LISTED),
        "speakers": sorted(
            ([speaker, len(lengths), round(sum(lengths), 2)] for speaker, lengths in speakers.items()),
            key=lambda row: (-row[2], row[0]),
        ),
    }


def _characters(splits: Mapping[str, Sequence[Utterance]]) -> list[list[str | int]]:
    """Each character with its count in every split."""
    counts = {
        split: Counter(character for utterance in utterances for character in utterance.text)
        for split, utterances in splits.items()
    }
    characters = sorted({character for counter in counts.values() for character in counter})
    return [[character, *(counter[character] for counter in counts.values())] for character in characters]
