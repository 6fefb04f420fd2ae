"""How runs in Weights & Biases are started: online, offline or not at all."""

import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asr.common.errors import ConfigError, RunError
from asr.scoring.provenance import public_arguments
from asr.settings.tracker import TrackerConfig, TrackerMode

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

Mode = Literal["online", "offline"]
INIT_SECONDS = 60.0
FINISH_SECONDS = 600.0
"""After that, what is not uploaded stays on disk for `wandb sync`."""
NOTED = "ASR_NO_LOGIN_NOTED"
"""Variable of the environment: a process of this command has said that there is no login."""
LOWEST = ("dev/wer", "dev/cer", "dev/frame_error", "dev/loss", "dev/perplexity")
"""Metrics whose lowest value counts: the summary in W&B has it as dev/wer.min."""
BEGIN = re.compile(r"offline-run-(\d{8}_\d{6})-")
"""In the name of an offline part, the local time of its begin."""
BEGIN_FORMAT = "%Y%m%d_%H%M%S"


def modes_of(mode: TrackerMode) -> Sequence[Mode]:
    """The modes to try in turn: if online fails, offline keeps everything for later."""
    match _automatic() if mode is TrackerMode.auto else mode:
        case TrackerMode.online:
            return "online", "offline"
        case TrackerMode.offline:
            return ("offline",)
        case _:
            return ()


def goes_online(config: TrackerConfig) -> bool:
    """Whether runs are sent during training."""
    return modes_of(config.mode)[:1] == ("online",)


def default_entity() -> str | None:
    """The user or team of runs if tracker.entity is not set.

    Raises:
        RunError: The server cannot be asked.
    """
    import wandb

    try:
        entity: str | None = wandb.Api().default_entity
    except Exception as error:
        raise RunError(f"Weights & Biases cannot be reached ({one_line(error)}): use tracker=offline.") from None
    return entity


def _automatic() -> TrackerMode:
    if wanted := os.environ.get("WANDB_MODE"):
        try:
            return TrackerMode(wanted)
        except ValueError:
            raise ConfigError(
                f"WANDB_MODE={wanted} is not one of online, offline and disabled: change or unset it."
            ) from None
    if _logged_in():
        return TrackerMode.online
    if NOTED not in os.environ:
        os.environ[NOTED] = "1"
        log.info("Not logged in to Weights & Biases (see `wandb login`), so the run is kept offline.")
    return TrackerMode.offline


def _logged_in() -> bool:
    try:
        import wandb

        wandb.setup(wandb.Settings(silent=True))
        return wandb.login(prompt=False, verify=False)
    except Exception as error:
        log.warning("The login to Weights & Biases cannot be used: %s", one_line(error))
        return False


def start(mode: Mode, run_id: str, arguments: dict[str, Any], parts: Iterable[Path]) -> "wandb.Run":
    """Starts a run, or goes on with it.

    Args:
        parts: Its offline parts, behind which a new one is sorted.
    """
    import wandb

    _forget_foreign_service()
    # wandb's own telemetry would log errors if it has no connection.
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
        with _public_arguments(), _clock_after(parts):
            run = wandb.init(id=run_id, mode=mode, resume=resume, reinit="create_new", settings=settings, **arguments)
    except Exception:
        wandb.teardown()  # Otherwise the id is in use when offline is tried.
        raise
    for axis in ("step", "epoch", "seconds"):
        run.define_metric(axis, hidden=axis != "epoch")
    run.define_metric("*", step_metric="step")
    run.define_metric("dev/*", step_metric="epoch")
    for name in LOWEST:
        run.define_metric(name, step_metric="epoch", summary="min")
    return run


@contextmanager
def _public_arguments() -> Iterator[None]:
    """W&B keeps the command line: it gets one without credentials."""
    arguments = sys.argv[1:]
    sys.argv[1:] = public_arguments()
    try:
        yield
    finally:
        sys.argv[1:] = arguments


@contextmanager
def _clock_after(parts: Iterable[Path]) -> Iterator[None]:
    """`wandb sync` takes parts in the order of their names, which wandb makes of the local time. Where it was set back,
    as at the end of summer time, wandb sees a time at which a new part is the last."""
    begins = [found[1] for part in parts if (found := BEGIN.match(part.name))]
    clock, newest = time.time, max(begins, default="")
    if datetime.fromtimestamp(clock()).strftime(BEGIN_FORMAT) > newest:
        yield
        return
    shift = (datetime.strptime(newest, BEGIN_FORMAT) + timedelta(seconds=1)).timestamp() - clock()
    time.time = lambda: clock() + shift
    try:
        yield
    finally:
        time.time = clock


def forget_service() -> None:
    """Lets go of a service that has died, which wandb would ask once more when the process ends; a later run starts
    another."""
    import wandb

    with suppress(Exception):
        wandb.teardown()


def _forget_foreign_service() -> None:
    """Makes wandb start its own service: that of the parent process may be elsewhere or gone.

    wandb passes its service on in WANDB_SERVICE, such as 3-PID-unix-PATH.
    """
    if f"-{os.getpid()}-" not in os.environ.get("WANDB_SERVICE", ""):
        os.environ.pop("WANDB_SERVICE", None)


def one_line(error: Exception) -> str:
    """An error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
