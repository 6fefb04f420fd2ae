"""Ordinary flags, of the commands on runs."""

import argparse
from typing import NoReturn

from asr.errors import ConfigError


class FlagParser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raises.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help.")
