"""A training's one run in Weights & Biases, which may fail in any way and never stops the training.

The rows of metrics.jsonl are numbered, and a row's number is W&B's own step. So after a restart an online run goes on
with the first row that the server doesn't have. An offline one is written anew as a whole: a piece whose process was
killed can't be uploaded (seen with wandb 0.31), and one whole piece takes one `wandb sync`.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec

from asr.errors import ConfigError
from asr.tracking.config import TrackerConfig, TrackerMode
from asr.tracking.metrics import Row, replace_text
from asr.tracking.worst import WorstUtterance

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

INIT_SECONDS = 60.0
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
            "job_type": job_type,
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
        self._attempt(_send_table, utterances)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Shows a table."""
        self._attempt(_send_plain_table, name, columns, rows)

    def pictures(self, pictures: Mapping[str, Path]) -> None:
        """Shows image files, by name."""
        self._attempt(_send_pictures, pictures)

    def model(self, folder: Path) -> None:
        """Keeps a model folder as an artifact."""
        self._attempt(_send_model, folder)

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
    run.summary.update(dict(values))


def _send_table(run: "wandb.Run", utterances: Sequence[WorstUtterance]) -> None:
    import wandb

    table = wandb.Table(columns=["id", "speaker", "duration", "wer", "reference", "hypothesis", "audio"])
    for row in utterances:
        audio = wandb.Audio(row.waveform, sample_rate=row.sampling_rate, caption=row.id)
        table.add_data(row.id, row.speaker, row.duration, row.wer, row.reference, row.hypothesis, audio)
    with _staging(Path(run.settings.sync_dir)):
        run.summary["worst_utterances"] = table  # The history's steps belong to the rows of metrics.jsonl.


def _send_plain_table(run: "wandb.Run", name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    import wandb

    table = wandb.Table(columns=list(columns), data=[list(row) for row in rows])
    with _staging(Path(run.settings.sync_dir)):
        run.log({name: table})


def _send_pictures(run: "wandb.Run", pictures: Mapping[str, Path]) -> None:
    import wandb

    with _staging(Path(run.settings.sync_dir)):
        run.log({name: wandb.Image(str(path)) for name, path in pictures.items()})


def _send_model(run: "wandb.Run", folder: Path) -> None:
    import wandb

    artifact = wandb.Artifact(f"model-{run.id}", type="model")
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        artifact.add_file(str(file), policy="immutable")  # Refers to the file where it lies, without a copy.
    run.log_artifact(artifact)


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
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return run


def _forget_foreign_service() -> None:
    """Lets wandb start a service of its own: that of the process which started this one may be over or far away.

    wandb hands its service on in WANDB_SERVICE, as in 3-PID-unix-PATH.
    """
    if f"-{os.getpid()}-" not in os.environ.get("WANDB_SERVICE", ""):
        os.environ.pop("WANDB_SERVICE", None)


def _run_id(folder: Path) -> str:
    """The run's id, drawn once."""
    path = folder / "wandb_id"
    if not path.exists():
        replace_text(path, secrets.token_hex(4))
    return path.read_text(encoding="utf-8")


@contextmanager
def _staging(folder: Path) -> Iterator[None]:
    """Media wait for their upload in the run folder and not in the user's home, unless WANDB_DATA_DIR says where."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
