"""A training's one run in Weights & Biases, which may fail in any way and never stops the training.

The rows of metrics.jsonl are numbered, and a row's number is W&B's own step. So after a restart an online run goes on
with the first row that the server doesn't have. An offline one is written anew as a whole: a piece whose process was
killed can't be uploaded (seen with wandb 0.31), and one whole piece takes one `wandb sync`.

A thread of its own hands everything to wandb: with a table or an artifact wandb waits for an answer of the server, a
second where that is slow and twenty where it is gone (measured with wandb 0.31), and no step shall wait for it.
"""

import logging
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from asr.settings.tracker import TrackerConfig
from asr.tracking import wandb_media
from asr.tracking.metrics import Row, replace_text
from asr.tracking.wandb_media import WorstUtterance
from asr.tracking.wandb_start import FINISH_SECONDS, LOWEST, modes_of, one_line, start

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

P = ParamSpec("P")
ROWS = "rows"
"""Beside an offline piece: how many rows of metrics.jsonl it ends with."""


class WandbRun:
    """The run, or its absence after a failure or with `tracker.mode=disabled`, when wandb isn't even imported.

    Args:
        folder: The run folder, where the run's id and wandb's own files are kept.
        config: The settings of the tracker.
        name: Name of the run.
        recipe: Name of the recipe, which becomes a tag.
        settings: The resolved configuration.
        job_type: What the run does.
        group: Group of the run, instead of `tracker.group`.

    Raises:
        ConfigError: WANDB_MODE is not one of the tracker's modes.
    """

    def __init__(
        self,
        folder: Path,
        config: TrackerConfig,
        *,
        name: str,
        recipe: str,
        settings: Mapping[str, Any],
        job_type: str,
        group: str | None,
    ) -> None:
        self._run: wandb.Run | None = None
        self._failed = False
        self._gave_up = False
        self._thread: threading.Thread | None = None
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._broken: set[Callable[..., None]] = set()
        self._url: str | None = None
        self._piece: Path | None = None
        self._earlier_pieces = list((folder / "wandb").glob("offline-run-*"))
        self._uploaded = _rows_uploaded(folder, self._earlier_pieces)
        self._rows = 0
        self._lowest: dict[str, float] = {}
        arguments: dict[str, Any] = {
            "project": config.project,
            "entity": config.entity,
            "group": group or config.group,
            "tags": [recipe, *config.tags],
            "notes": config.notes,
            "name": name,
            "job_type": config.job_type or job_type,
            "config": {"recipe": recipe, **settings},
            "dir": folder,
        }
        for mode in modes_of(config.mode):
            try:
                self._run = start(mode, _run_id(folder), arguments)
            except Exception as error:
                log.warning("Weights & Biases could not be started %s: %s", mode, one_line(error))
            else:
                self._url = self._run.url if mode == "online" else None
                self._piece = Path(self._run.settings.sync_dir)
                self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
                self._thread.start()
                break

    def replay(self, rows: Sequence[Row], summary: Mapping[str, float | str]) -> None:
        """Sends what earlier processes logged, as far as the server lacks it, and drops their offline pieces."""
        for number, row in enumerate(rows):
            self.log(number, row)
        self.summary(summary)
        self._attempt(_drop, self._earlier_pieces)

    def log(self, number: int, row: Row) -> None:
        """Sends a row of metrics.jsonl."""
        self._rows = number + 1
        self._attempt(_send_row, number, row, self._uploaded)
        if judged := [name for name in LOWEST if name in row]:
            for name in judged:
                self._lowest[name] = min(row[name], self._lowest.get(name, row[name]))
            self._attempt(_send_lowest, dict(self._lowest), self._uploaded)

    def summary(self, values: Mapping[str, float | str]) -> None:
        """Sets figures of the run as a whole."""
        self._attempt(_send_summary, values)

    def worst_utterances(self, utterances: Sequence[WorstUtterance]) -> None:
        """Shows the worst utterances as a table with audio."""
        self._attempt(wandb_media.send_worst, utterances)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Shows a table, in place of an earlier one of its name."""
        self._attempt(wandb_media.send_table, name, columns, rows)

    def pictures(self, pictures: Mapping[str, Path]) -> None:
        """Shows image files, by name."""
        self._attempt(wandb_media.send_pictures, pictures)

    def alert(self, title: str, text: str, problem: bool) -> None:
        """Sends a message to whoever follows the run, by mail or chat, as the settings of their account say."""
        self._attempt(_send_alert, title, text, problem)

    def model(self, name: str, folder: Path, metadata: Mapping[str, Any]) -> None:
        """Keeps a model folder as a version of an artifact that the run made."""
        self._attempt(wandb_media.send_model, name, folder, metadata)

    def uses_model(self, name: str, folder: Path) -> None:
        """Says that the run reads a model."""
        self._attempt(wandb_media.use_model, name, folder)

    def uses_manifests(self, name: str, manifests: Sequence[Path]) -> None:
        """Says that the run reads manifests."""
        self._attempt(wandb_media.use_manifests, name, manifests)

    def finish(self, exit_code: int, patience: float = 2 * FINISH_SECONDS) -> None:
        """Ends the run.

        Args:
            exit_code: Another one than 0 marks it as failed.
            patience: How long the uploads are waited for (s).
        """
        if self._thread is not None:
            self._attempt(_finish, exit_code, self._piece if self._url is None else None, self._rows)
            self._queue.put(None)
            self._thread.join(patience)
            self._thread = None

    def where(self) -> str | None:
        """One sentence on how to see the run, None where W&B holds nothing of it."""
        self._settle()
        if self._url:
            missing = f"; `wandb sync {self._piece}` uploads what is missing there" if self._failed else ""
            return f"See the run at {self._url}{missing}."
        if self._piece is None or self._gave_up:
            return None
        return f"See the run with `wandb leet {self._piece}`; `wandb sync {self._piece}` uploads it."

    def follow(self) -> str | None:
        """How to see the run while it goes on, None where W&B holds nothing of it."""
        if self._url:
            return f"the run at {self._url}"
        return None if self._piece is None or self._gave_up else f"`wandb leet {self._piece}`"

    def _attempt(self, action: Callable[Concatenate["wandb.Run", P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Has something done with the run, in the order of the calls."""
        if self._thread is not None:
            self._queue.put(lambda: self._carry_out(action, *args, **kwargs))

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            item()

    def _settle(self) -> None:
        """Waits until everything so far was handed to wandb, or failed."""
        if self._thread is not None:
            done = threading.Event()
            self._queue.put(done.set)
            done.wait(FINISH_SECONDS)

    def _carry_out(
        self, action: Callable[Concatenate["wandb.Run", P], None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Does something with the run. Without its rows it is given up; of the rest, what failed is left out."""
        if self._run is None or action in self._broken:
            return
        try:
            action(self._run, *args, **kwargs)
        except Exception as error:
            self._failed = True
            if action is _send_row:
                self._run, self._gave_up = None, True
                log.warning("Weights & Biases failed and is left out from here on: %s", one_line(error))
            else:
                self._broken.add(action)
                what = action.__name__.strip("_").replace("_", " ")
                log.warning("Weights & Biases could not %s and leaves that out: %s", what, one_line(error))


def _drop(run: "wandb.Run", pieces: Sequence[Path]) -> None:
    for piece in pieces:
        shutil.rmtree(piece, ignore_errors=True)


def _send_row(run: "wandb.Run", number: int, row: Row, uploaded: int) -> None:
    if number >= max(run.starting_step, uploaded):  # The server has earlier ones from before a restart.
        run.log(row, step=number, commit=True)


def _send_lowest(run: "wandb.Run", lowest: Mapping[str, float], uploaded: int) -> None:
    """Of a run that was taken up again wandb (0.31) sees the rows since then only, and would take the best of those."""
    if run.starting_step or uploaded:
        run.summary.update({name: {"min": value} for name, value in lowest.items()})


def _send_summary(run: "wandb.Run", values: Mapping[str, float | str]) -> None:
    # Of what has a curve, W&B keeps the best value itself.
    run.summary.update({name: value for name, value in values.items() if name not in LOWEST})


def _send_alert(run: "wandb.Run", title: str, text: str, problem: bool) -> None:
    run.alert(title, text, level="ERROR" if problem else "INFO", wait_duration=0)


def _finish(run: "wandb.Run", exit_code: int, piece: Path | None, rows: int) -> None:
    run.finish(exit_code=exit_code)
    if piece is not None:
        (piece / ROWS).write_text(str(rows), encoding="utf-8")


def _rows_uploaded(folder: Path, pieces: Sequence[Path]) -> int:
    """How many rows of an offline run `wandb sync` has sent: a further piece holds those after them.

    wandb marks a piece that was sent by a file. A run that was killed has told no number of rows, and nobody can send
    it.
    """
    path = folder / "wandb_uploaded"
    known = int(path.read_text(encoding="utf-8")) if path.exists() else 0
    sent = [piece for piece in pieces if any(piece.glob("*.wandb.synced")) and (piece / ROWS).exists()]
    rows = max([known, *(int((piece / ROWS).read_text(encoding="utf-8")) for piece in sent)])
    if rows > known:
        path.write_text(str(rows), encoding="utf-8")
    return rows


def _run_id(folder: Path) -> str:
    """The run's id, drawn once: here, or by the agent of a sweep of W&B, which waits for a run of that id."""
    path = folder / "wandb_id"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        drawn = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        replace_text(path, drawn or secrets.token_hex(4))
    return path.read_text(encoding="utf-8")
