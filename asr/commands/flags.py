"""Ordinary flags, for commands on runs, models and files."""

import argparse
import math
from typing import NoReturn

from asr.common.errors import ConfigError

RUN_HELP = "a run folder (runs/RECIPE/NAME-HASH), the hash of a run or its beginning, or RECIPE/best"
"""What an argument RUN may be."""


def whole_number(text: str) -> int:
    """A whole number from 0, for `type=` of a flag.

    Raises:
        ArgumentTypeError: It is something else.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0")
    return int(text)


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


class FlagParser(argparse.ArgumentParser):
    """Reports a mistake in the command line as a ConfigError of one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help.")
