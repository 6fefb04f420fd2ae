"""The tracker of a run: it writes metrics.jsonl in the run folder, and sends them to Weights & Biases and others."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGINT
from typing import Any, Self

from asr.common.documents import read_json
from asr.common.errors import Interrupted, RunError, asr_command
from asr.common.files import atomic_write_text
from asr.data.manifest import read_manifest
from asr.data.shards.reader import open_audio
from asr.scoring.aligned_errors import worst
from asr.scoring.error_unit import ErrorUnit
from asr.scoring.results import FRAME_KEYS, EvaluatedSplit, Results
from asr.settings.compose import flattened
from asr.settings.decoder import DecoderKind
from asr.settings.recipe import Recipe
from asr.settings.root import Config
from asr.settings.tracker import TrackerConfig
from asr.tracking import wandb_media
from asr.tracking.diagnostics import Diagnostic, Severity, diagnose, divergence
from asr.tracking.divergence import LossWatch
from asr.tracking.metrics import PANEL, Row, RowsFile, as_table, metrics_path, read_metrics
from asr.tracking.recorders import Recorders
from asr.tracking.wandb_media import WorstUtterance
from asr.tracking.wandb_run import Job, WandbRun

log = logging.getLogger(__name__)

PANEL_SECONDS = 60.0
"""Between two uploads of the growing panel table."""
HURRY_SECONDS = 20.0
ALERT = "alert/"
"""Start of the keys in summary.json that hold the alerts that were sent."""
WARNING = "warning/"
"""And of those that hold what was said of the training that is no problem."""
FINISHED = "finished"
"""The alert at the end of a training; all others tell of a problem."""


class Tracker:
    """Records what a run reports, each row once across restarts. Rank 0 has one, the other ranks a `NullTracker`.

    The rows of a step must be logged before the checkpoint of that step is written: when the training resumes, the rows
    of later steps are dropped and logged again.

    Args:
        job: What is recorded.
        step: The step from which the training resumes, 0 for a new run.

    Raises:
        RunError: metrics.jsonl or summary.json is damaged.
        ConfigError: WANDB_MODE is not one of the tracker's modes.
    """

    def __init__(self, folder: Path, config: TrackerConfig, job: Job, step: int = 0) -> None:
        self._folder = folder
        self._config = config
        self._settings = flattened(job.settings)
        self._name, self._recipe = job.name, job.recipe
        self._metrics = RowsFile(metrics_path(folder), step)
        self._panel = RowsFile(folder / PANEL, step)
        self._watch = LossWatch()
        for row in self._metrics.rows:
            self._watch.see(row)
        self._panel_sent: float | None = None
        self._summary_path = folder / "summary.json"
        self._summary = _read_summary(self._summary_path) if step else {}
        self._also = Recorders(folder, config, job, step)
        for number, row in enumerate(self._metrics.rows):
            self._also.log(number, row)
        self._wandb = WandbRun(folder, config, job)
        self._wandb.replay(self._metrics.rows, self._summary)
        if self._wandb.killed_parts:
            for key, text in self._summary.items():
                if key.startswith(ALERT):
                    self._send_alert(key.removeprefix(ALERT), str(text))

    @staticmethod
    def silent() -> "Tracker":
        """A tracker that records nothing, for every rank except 0."""
        return NullTracker()

    def log(self, step: int, epoch: float, seconds: float, metrics: Mapping[str, float]) -> None:
        """Adds a row.

        Args:
            step: Optimizer steps done.
            epoch: Epochs done, with fraction.
            seconds: Training time so far.
            metrics: By name, such as `group/name`.
        """
        row = {"step": step, "epoch": epoch, "seconds": seconds, **metrics}
        self._metrics.append(row)
        number = len(self._metrics.rows) - 1
        self._wandb.log(number, row)
        self._also.log(number, row)
        if self._watch.see(row):
            self._tell(divergence(self._watch))
        if any(name.startswith("dev/") for name in metrics):
            for diagnostic in diagnose(self._metrics.rows, self._settings):
                self._tell(diagnostic)

    def panel(self, row: Row) -> None:
        """Adds the hypotheses of the panel after an epoch, as `asr.tracking.metrics.panel_row` makes them."""
        self._panel.append(row)
        if self._panel_sent is None or time.monotonic() - self._panel_sent > PANEL_SECONDS:
            self._send_panel()

    def alert(self, kind: str, text: str) -> None:
        """Sends a message through Weights & Biases, each kind once in the life of a run; the log has the problems."""
        if f"{ALERT}{kind}" not in self._summary:
            if kind != FINISHED:
                log.warning("%s", text)
            self.summary({f"{ALERT}{kind}": text})
            self._send_alert(kind, text)

    def _send_alert(self, kind: str, text: str) -> None:
        title = f"{self._recipe} {self._name}: {kind}"
        self._wandb.attempt(wandb_media.send_alert, title, text, problem=kind != FINISHED)

    def summary(self, values: Mapping[str, float | str]) -> None:
        """Sets figures of the whole run, such as the test WER; they are in summary.json too."""
        self._summary |= values
        atomic_write_text(self._summary_path, json.dumps(self._summary, indent=1) + "\n")
        self._wandb.summary(values)
        self._also.summary(values)

    def lowest_of(self, run: Path) -> None:
        """Sets the lowest dev figures of the training in a run folder.

        Raises:
            RunError: Its metrics are damaged.
        """
        self._wandb.lowest(read_metrics(run))

    def worst_utterances(self, rows: Sequence[WorstUtterance]) -> None:
        """Shows the worst utterances as a table with audio and alignment, replacing an earlier one."""
        if rows:
            self._wandb.attempt(wandb_media.send_worst, rows)
            self._also.worst_utterances(rows)

    def show_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Shows a table in Weights & Biases."""
        self._wandb.attempt(wandb_media.send_table, name, columns, rows)
        self._also.table(name, columns, rows)

    def show_pictures(self, pictures: Mapping[str, Path]) -> None:
        """Shows image files in Weights & Biases, by name."""
        self._wandb.attempt(wandb_media.send_pictures, pictures)
        self._also.pictures(pictures)

    def model(self, name: str, folder: Path, metadata: Mapping[str, Any]) -> None:
        """Uploads a model folder as a version of an artifact, if `tracker.upload_model` is set."""
        if self._config.upload_model:
            self._wandb.attempt(wandb_media.send_model, name, folder, metadata)

    def uses_model(self, name: str, folder: Path) -> None:
        """Records that the run uses a model, as an artifact, if `tracker.upload_model` is set."""
        if self._config.upload_model:
            self._wandb.attempt(wandb_media.use_model, name, folder)

    def uses_manifests(self, manifests: Sequence[Path]) -> None:
        """Records the manifests that the run uses; those of a recipe are versions of one artifact."""
        self._wandb.attempt(wandb_media.use_manifests, f"manifest-{self._recipe}", manifests)

    @property
    def backlog(self) -> int:
        """Actions that Weights & Biases has not started yet."""
        return self._wandb.backlog

    def where(self) -> str:
        """One sentence on how to see the run."""
        return self._wandb.where() or f"The metrics are in {metrics_path(self._folder)}."

    def follow(self) -> str:
        """One sentence on how to follow the run."""
        page = asr_command("report", self._folder, "-o", "report", "--serve")
        wandb = self._wandb.follow()
        return f"To follow the training: {f'{wandb}, or ' if wandb else ''}{page}."

    def rewrite(self) -> None:
        """Writes the files of the run again, as after they were deleted."""
        self._metrics.rewrite()
        self._panel.rewrite()
        self.summary({})

    def finish(self, exit_code: int = 0, *, hurry: bool = False, preempted: bool = False) -> None:
        """Ends the run; a code other than 0 marks it as failed, or preempted. In a hurry, the next start sends the
        rest."""
        self._send_panel()
        patience = [HURRY_SECONDS] if hurry else []
        self._wandb.finish(exit_code, *patience, preempted=preempted)
        self._also.finish(exit_code == 0, *patience)
        self._metrics.close()
        self._panel.close()

    def _send_panel(self) -> None:
        if self._panel.rows:
            self.show_table("dev/panel", *as_table(self._panel.rows))
            self._panel_sent = time.monotonic()

    def _tell(self, diagnostic: Diagnostic) -> None:
        """Says what a reviewer should know when it arises, each kind once in the life of a run."""
        if diagnostic.severity is Severity.problem:
            self.alert(diagnostic.kind, diagnostic.sentence)
        elif not {f"{ALERT}{diagnostic.kind}", f"{WARNING}{diagnostic.kind}"} & self._summary.keys():
            log.warning("%s", diagnostic.sentence)
            self.summary({f"{WARNING}{diagnostic.kind}": diagnostic.sentence})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # A job that Slurm stops must end in time to be requeued.
        stopped = isinstance(error, Interrupted)
        preempted = isinstance(error, Interrupted) and error.signal != SIGINT
        self.finish(exit_code=0 if error is None else 1, hurry=stopped, preempted=preempted)


class NullTracker(Tracker):
    """Records nothing."""

    def __init__(self) -> None:
        pass

    def _ignore(self, *_: Any, **__: Any) -> None:
        pass

    def _say_nothing(self) -> str:
        return ""

    log = summary = lowest_of = panel = alert = worst_utterances = model = uses_model = uses_manifests = finish = (
        rewrite
    ) = _ignore
    show_table = show_pictures = _ignore
    where = follow = _say_nothing


def _read_summary(path: Path) -> dict[str, float | str]:
    try:
        return read_json(path) if path.exists() else {}
    except (OSError, ValueError):
        again = asr_command("evaluate", path.parent)
        raise RunError(f"{path} is damaged: delete it, and {again} writes a new one.") from None


FIGURES = (
    "wer", "wer_low", "wer_high", "cer", "cer_low", "cer_high", "substitutions", "deletions", "insertions", "correct",
    "ser", "real_time_factor", "frame_error", "frame_error_low", "frame_error_high", "segment_error",
)  # fmt: skip
UTTERANCE_COLUMNS = (
    "id", "speaker", "duration", "wer", "cer", "ctc_loss_per_token", "confidence", "reference", "hypothesis",
    "alignment",
)  # fmt: skip


def add_figures(tracker: Tracker, evaluations: Sequence[EvaluatedSplit]) -> None:
    """Sets the figures of evaluations in the summary of a run."""
    for evaluation in evaluations:
        results = evaluation.results
        figures = {figure: getattr(results, figure) for figure in FIGURES}
        if results.unit is not ErrorUnit.word:
            figures["unit"] = results.unit.value
        if results.normalized is not None:
            figures["normalizer"] = results.normalized.normalizer
            for rate in ("wer", "cer"):
                figures[f"normalized_{rate}"] = getattr(results.normalized, rate)
        if results.delay is not None:
            figures |= {"delay_median": results.delay.median, "delay_percentile_90": results.delay.percentile_90}
        if results.speech is not None:
            figures |= vars(results.speech)
        place = _place(results)
        tracker.summary({f"{place}/{name}": value for name, value in figures.items() if value is not None})


def add_worst_utterances(tracker: Tracker, recipe: Recipe, config: Config, evaluation: EvaluatedSplit) -> None:
    """Shows the worst utterances of a split with their audio; none where frames are labelled, which have no texts.

    Raises:
        DataError: The split cannot be read.
    """
    if not evaluation.results.unit.of_text:
        return
    manifest = recipe.manifest(config, evaluation.results.split)
    utterances = {utterance.id: utterance for utterance in read_manifest(manifest)}
    audio = open_audio(config.shards, recipe.data(config))
    tracker.worst_utterances(
        [
            WorstUtterance(score, audio.read(utterances[score.id]).numpy(), utterances[score.id].sampling_rate)
            for score in worst(evaluation.scores, config.tracker.worst_utterances)
        ]
    )


def add_utterances(tracker: Tracker, evaluations: Sequence[EvaluatedSplit]) -> None:
    """Shows every utterance of evaluations in tables."""
    for evaluation in evaluations:
        columns = UTTERANCE_COLUMNS if evaluation.results.unit.of_text else FRAME_KEYS
        rows = [[getattr(score, column) for column in columns] for score in evaluation.scores]
        tracker.show_table(f"{_place(evaluation.results)}/utterances", columns, rows)


def _place(results: Results) -> str:
    """Where the figures of a split and a decoder are: test, which is greedy for all runs, or test/beam-ngram3-words."""
    greedy = results.decoder == DecoderKind.greedy.name
    return results.split if greedy else f"{results.split}/{results.decoder}"
