"""The command line: `asr COMMAND RECIPE [key=value ...]`, and `asr COMMAND RUN ... [--flag ...]`.

Neither torch nor Hydra is imported until a command runs, so that help is immediate.
"""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from difflib import get_close_matches
from io import StringIO
from typing import TYPE_CHECKING, NoReturn

from asr.commands import remedies
from asr.commands.flags import add_format
from asr.commands.help import COMMANDS, command_help, general_help, shipped_recipes, version
from asr.commands.subjects import given_recipe, is_subject
from asr.common.errors import ConfigError, Interrupted, MaskedFormatter, UserError, masked, printable
from asr.common.optional import import_large
from asr.common.streams import drop_output
from asr.settings.recipe import Recipe
from asr.training.interruption import await_the_end
from asr.training.launch import find_launch

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

OWN_ARGUMENTS = (
    "plan", "compare", "runs", "report", "errors", "new", "export", "lm", "tune", "calibrate", "transcribe", "align",
    "deploy",
)  # fmt: skip
"""Commands whose module has `main(arguments)`: they parse the command line, including --help, themselves."""

ON_RANK_0 = ("prepare", "check", "listen", "pack", "extract")
"""Commands that run on rank 0 only."""

WITH_TABLES = ("evaluate", "run")
"""Commands on a recipe that print a table, which --format is for."""

# Errors of the file system that are no defect of the program.
FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
CLOSED = (*FORBIDDEN, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the arguments name.

    Returns:
        0 if the command did its work.

    Raises:
        SystemExit: 2 for a mistake of the user, 128 + n where signal n ended the command.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    remedies.give(remedies.RECIPE)
    with exit_codes():
        command, *rest = arguments or ["--help"]
        if command in ("-h", "--help"):
            print(general_help())
        elif command == "--version":
            print(version())
        elif command not in COMMANDS:
            near = get_close_matches(command, COMMANDS, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ConfigError(f"There is no command {command!r}, only {', '.join(COMMANDS)}{hint}")
        elif command == "lm" and rest[:1] == ["train"] and not {"-h", "--help"} & set(rest):
            run_over_hydra("lm", rest[1:])
        elif command in OWN_ARGUMENTS:
            log_to_stderr()
            import_large(f"asr.commands.{command}").main(rest)
        elif "-h" in rest or "--help" in rest:
            print(command_help(command))
        else:
            run_over_hydra(command, _without_subject(rest) if command == "benchmark" else rest)
        sys.stdout.flush()
    return 0


@dataclass(frozen=True)
class Job:
    """Called by Hydra with each composed configuration; launchers pickle it to send it to other machines."""

    command: str
    recipe: Recipe
    group: str | None = None
    """Group of a multirun's runs in Weights & Biases, where neither the recipe nor the command line sets one."""
    arguments: tuple[str, ...] = ()
    """The command line that submitted it."""
    subject: str = remedies.RECIPE
    """The recipe or the run as the command line names it."""

    def __call__(self, composed: "DictConfig") -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode
        from omegaconf import OmegaConf

        from asr.settings.compose import to_config
        from asr.training.cluster import on_slurm

        log_to_stderr()
        submitted = "SUBMITIT_EXECUTOR" in os.environ
        if submitted:
            sys.argv[1:] = self.arguments  # results name this command, not submitit's
        with on_slurm() if submitted else exit_codes():
            hydra = HydraConfig.get()
            config = to_config(composed, hydra.overrides.task)
            remedies.give(self.subject, hydra.overrides.task)
            if self.group is not None:
                # What the environment says is of one run: runs of a multirun are told apart by their names.
                if config.tracker.group is None or OmegaConf.is_interpolation(composed.tracker, "group"):
                    config.tracker.group = self.group
                if OmegaConf.is_interpolation(composed.tracker, "name"):
                    config.tracker.name = None
            if hydra.mode == RunMode.MULTIRUN:
                log.info("Job %d: %s", hydra.job.num, " ".join(hydra.overrides.task))
            if self.command in ON_RANK_0 and find_launch().rank > 0:
                return None
            outcome: float | None = import_large(f"asr.commands.{self.command}").run(self.recipe, config)
            return outcome


def run_over_hydra(command: str, arguments: Sequence[str]) -> None:
    """Composes the configuration of the recipe or the run, or each of a sweep, and runs the command on it.

    Raises:
        ConfigError: There is neither, or its configuration cannot be composed.
    """
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from asr.settings.compose import HYDRA_VERSION, check_overrides, errors_as_sentences, into_mappings, search_path
    from asr.settings.runs import at_home
    from asr.settings.sweeps import expand_sweep, group_name
    from asr.training.cluster import submission_errors

    log_to_stderr()
    options = _parse(command, arguments)
    subject, overrides = _split_subject(command, options.overrides)
    remedies.give(subject)
    with given_recipe(subject, overrides, language_models=command == "lm") as recipe:
        overrides, swept = expand_sweep(recipe, check_overrides(recipe, overrides, swept=options.multirun))
        if swept and options.cfg:
            raise ConfigError(f"asr {command}: a sweep runs and --cfg only prints; give one of the two.")
        version.setbase(HYDRA_VERSION)
        # As hydra.main() does, which prints errors itself over several lines.
        hydra = Hydra.create_main_hydra2("asr", create_config_search_path(str(recipe.folder)))
        try:
            group, overrides = group_name(recipe, overrides), [*into_mappings(overrides), search_path()]
            job = Job(command, at_home(recipe), None, tuple(sys.argv[1:]), subject)
            with errors_as_sentences(), submission_errors():
                if options.cfg:
                    with redirect_stdout(StringIO()) as shown:
                        hydra.show_cfg("recipe", overrides, options.cfg, options.package, options.resolve)
                    print(masked(shown.getvalue()), end="")
                    return
                composed = None if options.multirun or swept else _composed(hydra, overrides)
                if composed is None or composed.hydra.mode is RunMode.MULTIRUN:
                    hydra.multirun("recipe", replace(job, group=group), [*overrides, "hydra.mode=MULTIRUN"])
                else:
                    _run(hydra, composed, job)
        finally:
            GlobalHydra.instance().clear()


def log_to_stderr() -> None:
    """Prints what the package logs as plain lines: everything on rank 0, warnings on all ranks."""
    logger = logging.getLogger("asr")
    logger.handlers = [_PlainLines()]
    logger.setLevel(logging.INFO if find_launch().rank == 0 else logging.WARNING)


class _PlainLines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(MaskedFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        print(prefix + remedies.filled(self.format(record)), file=sys.stderr, flush=True)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Ends the process with one line on stderr instead of a traceback that would not help."""
    try:
        yield
    except UserError as error:
        _stop(str(error), 2)
    except Interrupted as error:
        print("asr:", error, file=sys.stderr, flush=True)
        await_the_end(error.signal)
        sys.exit(128 + error.signal)
    except KeyboardInterrupt:
        _stop("interrupted.", 130)
    except BrokenPipeError:
        drop_output()  # its reader is gone, as with `head`
        sys.exit(141)
    except UnicodeEncodeError as error:
        if "utf-8" in (error.encoding, sys.stdout.encoding):
            raise
        shown = ascii(error.object[error.start : error.end][:10])
        _stop(f"Standard output is in {sys.stdout.encoding}, which lacks {shown}: set PYTHONUTF8=1 for UTF-8.", 2)
    except OSError as error:
        if error.errno == errno.ENOENT and not error.filename:  # only the system's own question has no name
            _stop("The current folder has been deleted: change to another.", 2)
        if error.errno in FULL:
            _stop(f"The disk is full{f' at {error.filename}' if error.filename else ''}: free space and try again.", 2)
        if error.errno not in CLOSED or not error.filename:
            raise
        remedy = "change its permissions, or choose" if error.errno in FORBIDDEN else "choose"
        _stop(f"{error.filename} cannot be used ({error.strerror}): {remedy} another path.", 2)


def _stop(sentence: str, code: int) -> NoReturn:
    print("asr:", printable(" ".join(remedies.filled(sentence).split())), file=sys.stderr)
    sys.exit(code)


def _parse(command: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the options of Hydra's command line that apply here; Hydra's own parser fails on Python 3.14."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--run", "-r", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--package", "-p")
    parser.add_argument("--resolve", action="store_true")
    if command in WITH_TABLES:
        add_format(parser)
    try:
        options, unknown = parser.parse_known_intermixed_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(f"asr {command}: {error}.") from None
    if options.resolve and not options.cfg:
        raise ConfigError(f"asr {command}: --resolve goes with --cfg job.")
    if options.multirun and options.cfg:
        raise ConfigError(f"asr {command}: -m runs and --cfg only prints; give one of the two.")
    if unknown:
        from asr.settings.compose import known_keys, nearest

        hint = nearest(unknown[0].lstrip("-").split("=")[0].replace("-", "_"), known_keys())
        raise ConfigError(f"asr {command} takes key=value and no {unknown[0]}{hint or f'; see asr {command} --help.'}")
    return options


def _split_subject(command: str, positionals: Sequence[str]) -> tuple[str, list[str]]:
    if not positionals or not is_subject(positionals[0]):
        raise ConfigError(
            f"asr {command} needs a RECIPE: a folder, or one of {', '.join(shipped_recipes())}; or the folder of a run."
        )
    return positionals[0], list(positionals[1:])


def _composed(hydra: "Hydra", overrides: Sequence[str]) -> "DictConfig":
    """Composes the configuration. It may choose the mode of Hydra, as cluster=slurm does; sweeps need no -m then."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    sweeps = any(override.is_sweep_override() for override in parsed)
    chosen = hydra.get_mode("recipe", list(overrides)) if sweeps else None
    return hydra.compose_config("recipe", list(overrides), chosen or RunMode.RUN, with_log_configuration=True)


def _run(hydra: "Hydra", composed: "DictConfig", job: Job) -> None:
    """As `Hydra.run`, which would compose again."""
    from hydra._internal.callbacks import Callbacks
    from hydra.core.utils import run_job
    from hydra.types import HydraContext, RunMode

    composed.hydra.mode = RunMode.RUN
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(composed))
    ended = run_job(
        hydra_context=context, task_function=job, config=composed, job_dir_key="hydra.run.dir", job_subdir_key=None
    )
    ended.return_value  # noqa: B018  raises what the job did


def _without_subject(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments of `asr benchmark` without its subject."""
    if arguments[:1] != ["scaling"]:
        raise ConfigError("asr benchmark measures scaling only: asr benchmark scaling RECIPE.")
    return arguments[1:]
