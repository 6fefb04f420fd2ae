"""A training's one run in Weights & Biases, which may fail in any way and never stops the training.

The rows of metrics.jsonl are numbered, and a row's number is W&B's own step. So after a restart an online run goes on
with the first row that the server doesn't have. An offline one is written anew as a whole: a piece whose process was
killed can't be uploaded (seen with wandb 0.31), and one whole piece takes one `wandb sync`.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec

from asr.errors import ConfigError
from asr.tracking import wandb_media
from asr.tracking.config import TrackerConfig, TrackerMode
from asr.tracking.metrics import Row
from asr.tracking.worst import WorstUtterance

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

INIT_SECONDS = 60.0
LOWEST = ("dev/wer", "dev/cer", "dev/loss")
"""Metrics whose lowest value a run is judged by: its summary in W&B holds it as dev/wer.min."""
FINISH_SECONDS = 600.0
"""After that what isn't uploaded stays on disk, for `wandb sync`."""

P = ParamSpec("P")
Mode = Literal["online", "offline"]


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
        self._url: str | None = None
        self._piece: Path | None = None
        self._earlier_pieces = list((folder / "wandb").glob("offline-run-*"))
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
        for mode in _modes(config.mode):
            try:
                self._run = _start(mode, _run_id(folder), arguments)
            except Exception as error:
                log.warning("Weights & Biases could not be started %s: %s", mode, _one_line(error))
            else:
                self._url = self._run.url if mode == "online" else None
                self._piece = Path(self._run.settings.sync_dir)
                break

    def replay(self, rows: Sequence[Row], summary: Mapping[str, float | str]) -> None:
        """Sends what earlier processes logged, as far as the server lacks it, and drops their offline pieces."""
        for number, row in enumerate(rows):
            self.log(number, row)
        self.summary(summary)
        if self._run is not None:
            for piece in self._earlier_pieces:
                shutil.rmtree(piece, ignore_errors=True)

    def log(self, number: int, row: Row) -> None:
        """Sends a row of metrics.jsonl."""
        self._attempt(_send_row, number, row)

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

    def finish(self, exit_code: int) -> None:
        """Ends the run, having waited for the uploads."""
        self._attempt(_finish, exit_code)
        self._run = None

    def where(self) -> str | None:
        """One sentence on how to see the run, None where W&B holds nothing of it."""
        if self._url:
            missing = f"; `wandb sync {self._piece}` uploads what is missing there" if self._failed else ""
            return f"See the run at {self._url}{missing}."
        if self._failed or self._piece is None:
            return None
        return f"See the run with `wandb leet {self._piece}`; `wandb sync {self._piece}` uploads it."

    def follow(self) -> str | None:
        """How to see the run while it goes on, None where W&B holds nothing of it."""
        if self._url:
            return f"the run at {self._url}"
        return None if self._failed or self._piece is None else f"`wandb leet {self._piece}`"

    def _attempt(self, action: Callable[Concatenate["wandb.Run", P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        if self._run is None:
            return
        try:
            action(self._run, *args, **kwargs)
        except Exception as error:
            self._run, self._failed = None, True
            log.warning("Weights & Biases failed and is left out from here on: %s", _one_line(error))


def _send_row(run: "wandb.Run", number: int, row: Row) -> None:
    if number >= run.starting_step:  # The server has earlier ones from before a restart.
        run.log(row, step=number, commit=True)


def _send_summary(run: "wandb.Run", values: Mapping[str, float | str]) -> None:
    # Of what has a curve, W&B keeps the best value itself.
    run.summary.update({name: value for name, value in values.items() if name not in LOWEST})


def _send_alert(run: "wandb.Run", title: str, text: str, problem: bool) -> None:
    run.alert(title, text, level="ERROR" if problem else "INFO", wait_duration=0)


def _finish(run: "wandb.Run", exit_code: int) -> None:
    run.finish(exit_code=exit_code)


def _modes(mode: TrackerMode) -> Sequence[Mode]:
    """The ways to start, in turn: online fails where the network is down, and offline keeps all for later."""
    match _automatic() if mode is TrackerMode.auto else mode:
        case TrackerMode.online:
            return "online", "offline"
        case TrackerMode.offline:
            return ("offline",)
        case _:
            return ()


def _automatic() -> TrackerMode:
    if wanted := os.environ.get("WANDB_MODE"):
        try:
            return TrackerMode(wanted)
        except ValueError:
            raise ConfigError(
                f"WANDB_MODE={wanted} is none of online, offline and disabled: change or unset it."
            ) from None
    if _logged_in():
        return TrackerMode.online
    log.info("No login to Weights & Biases (`wandb login` makes one), so the run is kept offline.")
    return TrackerMode.offline


def _logged_in() -> bool:
    try:
        import wandb

        wandb.setup(wandb.Settings(silent=True))
        return wandb.login(prompt=False, verify=False)
    except Exception as error:
        log.warning("The login to Weights & Biases cannot be used: %s", _one_line(error))
        return False


def _start(mode: Mode, run_id: str, arguments: dict[str, Any]) -> "wandb.Run":
    import wandb

    _forget_foreign_service()
    # wandb's telemetry of itself complains on its own where it doesn't get through.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    settings = wandb.Settings(
        console="off",
        silent=True,
        allow_val_change=True,
        init_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        finish_timeout_raises=True,
    )
    resume: Literal["allow"] | None = "allow" if mode == "online" else None
    try:
        run = wandb.init(id=run_id, mode=mode, resume=resume, reinit="create_new", settings=settings, **arguments)
    except Exception:
        wandb.teardown()  # Else the id counts as in use when it is tried offline.
        raise
    for axis in ("step", "epoch", "seconds"):
        run.define_metric(axis, hidden=axis != "epoch")
    run.define_metric("*", step_metric="step")
    run.define_metric("dev/*", step_metric="epoch")
    for name in LOWEST:
        run.define_metric(name, step_metric="epoch", summary="min")
    return run


def _forget_foreign_service() -> None:
    """Lets wandb start a service of its own: that of a process which started this one may be elsewhere or over.

    wandb hands its service on in WANDB_SERVICE, as in 3-PID-unix-PATH.
    """
    if f"-{os.getpid()}-" not in os.environ.get("WANDB_SERVICE", ""):
        os.environ.pop("WANDB_SERVICE", None)


def _run_id(folder: Path) -> str:
    """The run's id, drawn once: here, or by the agent of a sweep of W&B, which waits for a run of that id."""
    path = folder / "wandb_id"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        drawn = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        path.write_text(drawn or secrets.token_hex(4), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
