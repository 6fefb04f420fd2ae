"""Ordinary flags, of the commands on runs."""

import argparse
import math
from typing import NoReturn

from asr.common.errors import ConfigError


def whole_number(text: str) -> int:
    """A number of things, for `type=` of a flag.

    Raises:
        ArgumentTypeError: It is none, or below 0.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0")
    return int(text)


def share(text: str) -> float:
    """A part of a whole, for `type=` of a flag.

    Raises:
        ArgumentTypeError: It is none, or not from 0 to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 0 to 1")
    return value


class FlagParser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help.")
