"""Ordinary flags, for commands on runs, models and files."""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from asr.commands import remedies
from asr.commands.subjects import find_run, is_run
from asr.common.errors import ConfigError
from asr.common.files import expanded
from asr.common.tables import TableFormat, choose_format
from asr.settings.recipe import runs_in

RUN_HELP = "a run folder (runs/RECIPE/NAME-HASH), the hash of a run or its beginning, or RECIPE/best"
"""What an argument RUN may be."""
SUBJECTS = ("RECIPE", "RUN", "MODEL")
"""Arguments that a command is about, of which RECIPE in a message is the first."""


def whole_number(text: str) -> int:
    """A whole number from 0, for `type=` of a flag.

    Raises:
        ArgumentTypeError: It is something else.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0")
    return int(text)


def points(text: str) -> float:
    """A number of per cent points from 0 to 100, for `type=` of a flag.

    Raises:
        ArgumentTypeError: It is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of points from 0 to 100")
    return value


def share(text: str) -> float:
    """A fraction from 0 to 1, for `type=` of a flag.

    Raises:
        ArgumentTypeError: It is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 0 to 1")
    return value


class _ChooseFormat(argparse.Action):
    def __call__(self, parser: object, namespace: argparse.Namespace, values: object, option: object = None) -> None:
        choose_format(str(values))
        setattr(namespace, self.dest, values)


def add_format(parser: "argparse.ArgumentParser | argparse._MutuallyExclusiveGroup") -> None:
    """Gives a command that prints tables the flag for their format."""
    choose_format(TableFormat.text)
    parser.add_argument(
        "--format",
        choices=[one.value for one in TableFormat],
        action=_ChooseFormat,
        help="print tables only, as CSV, Markdown or LaTeX (text)",
    )


class FlagParser(argparse.ArgumentParser):
    """Reports a mistake in the command line as a ConfigError of one sentence."""

    def parse(self, arguments: Sequence[str], flags: Mapping[str, str] | None = None) -> argparse.Namespace:
        """Parses a command line, with options anywhere in it, and tells `remedies` what it is about.

        Args:
            flags: What stands for settings here; by default --data for `paths.data`, where there is such a flag.

        Raises:
            ConfigError: An argument is wrong.
        """
        if "" in arguments:
            self.error("an argument is empty, which would be the current folder: is a variable of the shell not set?")
        options = self.parse_intermixed_args(arguments)
        for name, value in vars(options).items():
            if isinstance(value, Path):  # of --output=~/x no shell makes a path
                setattr(options, name, expanded(value))
        subjects = [action.dest for action in self._actions if action.metavar in SUBJECTS]
        values = (getattr(options, name) for name in subjects)
        given = next((str(value[0] if isinstance(value, list) else value) for value in values if value), None)
        data = getattr(options, "data", None)
        if flags is None and hasattr(options, "data"):
            flags = {"paths.data=": "--data "}
        subject = remedies.RECIPE if given is None else _subject(given)
        remedies.give(subject, [] if data is None else [f"paths.data={data}"], flags)
        return options

    def error(self, message: str) -> NoReturn:
        """Raises.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help.")


def _subject(given: str) -> str:
    """What commands on a recipe take in the place of an argument: of a folder of runs the first of them, and nothing of
    a model that is in no run."""
    path = Path(given)
    if not path.is_dir() or (path / "recipe.yaml").is_file() or is_run(find_run(path)):
        return given
    return str(next(iter(runs_in(path)), remedies.RECIPE))
