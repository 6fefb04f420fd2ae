"""Remedies in messages are commands and settings that work: RECIPE in a command stands for what the command line was
given, and a command that takes flags has some in the place of settings."""

import re
import shlex
from collections.abc import Mapping, Sequence

from asr.common.errors import masked

RECIPE = "RECIPE"
COMMAND = re.compile(r"(`[^`]*`)")
PLACE = re.compile(rf"(?<![\w/]){RECIPE}(?![\w/])")

_given = [RECIPE]
_flags: dict[str, str] = {}


def give(subject: str, overrides: Sequence[str] = (), flags: Mapping[str, str] | None = None) -> None:
    """Tells what RECIPE is from here on.

    Args:
        subject: A recipe or a run as the user named it.
        overrides: Its settings on the command line.
        flags: What stands for settings there: `--data ` for `paths.data=`.
    """
    _given[:] = [subject, *overrides]
    _flags.clear()
    _flags.update(flags or {})


def give_settings(overrides: Sequence[str]) -> None:
    """Tells the settings with which the command is carried out: of a sweep those of one point."""
    _given[1:] = overrides


def filled(sentence: str) -> str:
    """A sentence with remedies that work for what was given."""
    return "".join(map(_filled, COMMAND.split(sentence)))


def _filled(part: str) -> str:
    if part.startswith("`asr "):
        return PLACE.sub(lambda _: masked(shlex.join(_given)), part)
    for setting, flag in _flags.items():
        part = re.sub(rf"(?<![\w/.-]){re.escape(setting)}", flag, part)
    return part
