"""The run of a training in Weights & Biases, which may fail in any way and never stops the training.

The rows of metrics.jsonl are numbered, and a row's number is W&B's own step. So after a restart the run continues with
the first row that the server, or the finished parts of an offline run, do not have. All parts are kept, since only they
have the artifacts, alerts, tables and times of their process, and one `wandb sync` uploads them in order. A part whose
process was killed cannot be uploaded (seen with wandb 0.31): its rows and alerts are written again, and it is dropped.

A separate thread passes everything to wandb: for a table or an artifact wandb waits for an answer of the server, a
second if it is slow and twenty if it is gone (measured with wandb 0.31), and no training step should wait for that.
"""

import json
import logging
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from asr.common.documents import read_json, read_text
from asr.common.errors import RunError, masked
from asr.common.files import atomic_write_text
from asr.settings.tracker import TrackerConfig
from asr.tracking.background import Background
from asr.tracking.metrics import Row
from asr.tracking.wandb_start import FINISH_SECONDS, LOWEST, Mode, forget_service, modes_of, one_line, start

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

P = ParamSpec("P")
LATEST = "latest-run"
"""The link to the newest part of a run, which wandb makes."""
ROWS = "rows"
"""In a finished offline part: the number of rows of metrics.jsonl up to its end."""
KIND = "job"
"""The key of the configuration that tells evaluations and comparisons from trainings, whatever tracker.job_type is."""
LONGEST_ID = 1024
"""Bytes of a file that keeps a number or the id of a run."""
SUMMARY = "summary.json"
"""In a finished offline part: the summary at its end, with which the next begins: the server keeps only the last."""


@dataclass(frozen=True)
class Job:
    """What a tracker records, as Weights & Biases lists it."""

    name: str
    """Name of the run."""
    recipe: str
    """Name of the recipe, which becomes a tag."""
    settings: Mapping[str, Any]
    """The resolved configuration, as plain data."""
    kind: str
    """What the run does, such as `train`: its job type, unless tracker.job_type is set."""
    group: str | None = None
    """Group of the run, instead of `tracker.group`."""


class WandbRun:
    """The run, or none after a failure or with `tracker.mode=disabled`, when wandb is not even imported.

    Args:
        folder: The run folder, for the run's id and wandb's own files.

    Raises:
        ConfigError: WANDB_MODE is not one of the tracker's modes.
    """

    def __init__(self, folder: Path, config: TrackerConfig, job: Job) -> None:
        self._run: wandb.Run | None = None
        self._failed = False
        self._gave_up = False
        self._background: Background | None = None
        self._broken: set[Callable[..., None]] = set()
        self._url: str | None = None
        self._part: Path | None = None
        parts = list((folder / "wandb").glob("offline-run-*"))
        finished = {part: rows for part in parts if (rows := _count(part / ROWS)) is not None}
        self.killed_parts = [part for part in parts if part not in finished]
        """Of an offline run, those that cannot be uploaded."""
        self._kept_rows = _kept_rows(folder, finished)
        self._kept_summary = _kept_summary(finished)
        self._rows = 0
        self._lowest: dict[str, float] = {}
        arguments: dict[str, Any] = {
            "project": config.project,
            "entity": config.entity,
            "group": job.group or config.group,
            "tags": [job.recipe, *config.tags],
            "notes": config.notes and masked(config.notes),
            "name": job.name,
            "job_type": config.job_type or job.kind,
            "config": {"recipe": job.recipe, KIND: job.kind, **job.settings},
            "dir": folder,
        }
        for mode in _modes(config, finished):
            try:
                self._run = start(mode, _run_id(folder), arguments, parts)
            except Exception as error:
                log.warning("Weights & Biases could not be started %s: %s", mode, one_line(error))
            else:
                self._url = self._run.url if mode == "online" else None
                self._part = Path(self._run.settings.sync_dir)
                self._background = Background("wandb")
                break

    def replay(self, rows: Sequence[Row], summary: Mapping[str, float | str]) -> None:
        """Sends what earlier processes logged and neither the server nor a finished part has."""
        if self._url is None:
            self.attempt(_send_summary_as_it_was, self._kept_summary)
        for number, row in enumerate(rows):
            self.log(number, row)
        self.summary(summary)
        if self.killed_parts:
            self.attempt(_drop, self.killed_parts)

    def log(self, number: int, row: Row) -> None:
        """Sends a row of metrics.jsonl."""
        self._rows = number + 1
        self.attempt(_send_row, number, row, self._kept_rows)
        if lowest := [name for name in LOWEST if name in row]:
            for name in lowest:
                self._lowest[name] = min(row[name], self._lowest.get(name, row[name]))
            self.attempt(_send_lowest, dict(self._lowest), self._kept_rows)

    def lowest(self, rows: Sequence[Row]) -> None:
        """Sets the lowest values of metrics with a curve, which are of another run."""
        found = {name: [row[name] for row in rows if name in row] for name in LOWEST}
        self.attempt(_set_lowest, {name: min(values) for name, values in found.items() if values})

    def summary(self, values: Mapping[str, float | str]) -> None:
        """Sets figures of the whole run."""
        self.attempt(_send_summary, values)

    def finish(self, exit_code: int, patience: float = 2 * FINISH_SECONDS, *, preempted: bool = False) -> None:
        """Ends the run.

        Args:
            exit_code: A code other than 0 marks it as failed.
            patience: How long to wait for the uploads (s).
            preempted: Mark it as preempted: W&B hands it to an agent again if it is part of a sweep.
        """
        if self._background is not None:
            if preempted:
                self.attempt(_mark_preempting)
            self.attempt(_finish, exit_code, self._part if self._url is None else None, self._rows)
            self._background.close(patience)
            self._background = None

    @property
    def backlog(self) -> int:
        """Actions that wait for the thread."""
        return self._background.backlog if self._background else 0

    def where(self) -> str | None:
        """One sentence on how to see the run, None if W&B has nothing of it."""
        if self._background is not None:
            self._background.settle(FINISH_SECONDS)
        if self._url:
            missing = f"; `wandb sync {self._newest}` uploads the rest" if self._failed else ""
            return f"See the run at {self._url}{missing}."
        if self._part is None or self._gave_up:
            return None
        return f"See the run with `wandb leet {self._newest}`; `wandb sync {self._parts}` uploads it."

    def follow(self) -> str | None:
        """How to follow the run, None if W&B has nothing of it."""
        if self._url:
            return f"the run at {self._url}"
        return None if self._part is None or self._gave_up else f"`wandb leet {self._newest}`"

    @property
    def _newest(self) -> str:
        """For a shell, the link to the newest part."""
        assert self._part is not None
        link = self._part.with_name(LATEST)
        return shlex.quote(str(link if link.exists() else self._part))

    @property
    def _parts(self) -> str:
        """For a shell, all parts."""
        assert self._part is not None
        return f"{shlex.quote(str(self._part.parent))}/offline-run-*"

    def attempt(self, action: Callable[Concatenate["wandb.Run", P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Schedules an action on the run, such as those of `asr.tracking.wandb_media`, in the order of the calls."""
        if self._background is not None:
            self._background.submit(lambda: self._carry_out(action, *args, **kwargs))

    def _carry_out(
        self, action: Callable[Concatenate["wandb.Run", P], None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Performs an action on the run. It ends if rows cannot be sent; other actions that failed are skipped."""
        if self._run is None or action in self._broken:
            return
        try:
            action(self._run, *args, **kwargs)
        except Exception as error:
            self._failed = True
            if action is _send_row:
                self._run, self._gave_up = None, True
                log.warning("Weights & Biases failed and is not used from here on: %s", one_line(error))
                if isinstance(error, ConnectionError):
                    forget_service()
            else:
                self._broken.add(action)
                what = action.__name__.strip("_").replace("_", " ")
                log.warning("Weights & Biases could not %s, which is left out: %s", what, one_line(error))


def _drop(run: "wandb.Run", parts: Sequence[Path]) -> None:
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)


def _send_row(run: "wandb.Run", number: int, row: Row, kept: int) -> None:
    if number >= max(run.starting_step, kept):  # The server has earlier ones from before a restart.
        run.log(row, step=number, commit=True)


def _send_lowest(run: "wandb.Run", lowest: Mapping[str, float], kept: int) -> None:
    """Of a resumed run wandb (0.31) only sees the rows since then, and would take the best of those."""
    if run.starting_step or kept:
        _set_lowest(run, lowest)


def _set_lowest(run: "wandb.Run", lowest: Mapping[str, float]) -> None:
    run.summary.update({name: {"min": value} for name, value in lowest.items()})


def _send_summary(run: "wandb.Run", values: Mapping[str, float | str]) -> None:
    # Of metrics with a curve, W&B keeps the best value itself.
    run.summary.update({name: value for name, value in values.items() if name not in LOWEST})


def _send_summary_as_it_was(run: "wandb.Run", values: Mapping[str, Any]) -> None:
    run.summary.update(dict(values))


def _mark_preempting(run: "wandb.Run") -> None:
    run.mark_preempting()


def _finish(run: "wandb.Run", exit_code: int, part: Path | None, rows: int) -> None:
    if part is not None:
        own = {key: value for key, value in _as_data(run.summary).items() if not key.startswith("_")}
        atomic_write_text(part / SUMMARY, json.dumps(own) + "\n")
    run.finish(exit_code=exit_code)
    if part is not None:
        atomic_write_text(part / ROWS, str(rows))


def _as_data(value: Any) -> Any:
    """A value of a summary as plain data."""
    return {key: _as_data(value[key]) for key in value.keys()} if hasattr(value, "keys") else value  # noqa: SIM118


def _modes(config: TrackerConfig, finished: Iterable[Path]) -> Sequence[Mode]:
    """The modes to try in turn: offline where parts wait for their upload, whose rows come before all others."""
    modes = modes_of(config.mode)
    waiting = next((part for part in finished if not _is_uploaded(part)), None)
    if "online" not in modes or waiting is None:
        return modes
    log.warning(
        "The run is kept offline, since earlier parts of it are not uploaded: `wandb sync %s/offline-run-*` does that.",
        shlex.quote(str(waiting.parent)),
    )
    return ("offline",)


def _kept_rows(folder: Path, finished: Mapping[Path, int]) -> int:
    """How many rows of an offline run the finished parts have, or had before they were uploaded and deleted."""
    path = folder / "wandb_uploaded"
    known = _count(path) or 0
    rows = max([known, *(rows for part, rows in finished.items() if _is_uploaded(part))])
    if rows > known:
        atomic_write_text(path, str(rows))
    return max([rows, *finished.values()])


def _kept_summary(finished: Iterable[Path]) -> dict[str, Any]:
    """The summary of an offline run at the end of its newest finished part."""
    paths = [part / SUMMARY for part in finished if (part / SUMMARY).is_file()]
    newest = max(paths, key=lambda path: path.parent.name, default=None)
    try:
        return read_json(newest) if newest is not None else {}
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s): what it says is left out.", newest, error)
        return {}


def _is_uploaded(part: Path) -> bool:
    """Whether `wandb sync` has sent a part, which wandb marks by a file."""
    return any(part.glob("*.wandb.synced"))


def _count(path: Path) -> int | None:
    """The number in a file; None where there is none, or half of one that an earlier version left."""
    try:
        return int(read_text(path, LONGEST_ID))
    except (OSError, ValueError):
        return None


def _run_id(folder: Path) -> str:
    """The run's id, drawn once: here, or by the agent of a W&B sweep, which waits for a run with that id.

    Raises:
        RunError: The file that keeps it cannot be read.
    """
    path = folder / "wandb_id"
    if not path.exists() or not path.stat().st_size:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        atomic_write_text(path, drawn or secrets.token_hex(4))
    try:
        return read_text(path, LONGEST_ID)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is no id of a run in Weights & Biases ({error}): delete it.") from None
