"""Errors. A user's mistake is one sentence: the key, id or file, what was found, what was expected and what to do."""

import logging
import re
import shlex
from collections.abc import Sequence

MASK = "***"
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/?#'\"]*@")
_IN_QUERY = re.compile(
    r"([?&][^=&\s]*(?:key|token|secret|password|sig|signature|credential)=)[^&\s'\"]+", re.IGNORECASE
)


def masked(text: str) -> str:
    """A text without the credentials in its addresses, as https://***@host/path for https://user:password@host/path."""
    return _IN_QUERY.sub(rf"\1{MASK}", _IN_ADDRESS.sub(f"{MASK}@", text))


LONGEST = 4000
"""Characters of a sentence, which may quote what a file says."""


def shortened(text: str) -> str:
    """A text, or the begin and the end of one that is too long to be read."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST * 3 // 4]} ... {text[-LONGEST // 5 :]}"


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """A text without the characters that control a terminal, as \\x1b for ESC: names and transcripts may have some."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class MaskedFormatter(logging.Formatter):
    """Lines of a log without credentials, and without characters that control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(masked(super().format(record)))


def asr_command(verb: str, *arguments: object) -> str:
    """A command as a sentence shows it, its arguments quoted for a shell.

    RECIPE among them stands for what the command line was given, which puts it there when it prints the sentence.
    """
    return f"`asr {verb} {shlex.join(map(str, arguments))}`"


def shell_argument(path: object) -> str:
    """A path as an argument in a shell, which no command takes for an option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


class UserError(Exception):
    """A mistake of the user. The command line prints it as one sentence, without credentials, and exits with code 2."""

    def __str__(self) -> str:
        return shortened(masked(super().__str__()).replace("\n", " "))


class ConfigError(UserError):
    """A key or a value of the configuration that cannot be used."""


class DataError(UserError):
    """An archive, a manifest, an audio file or a transcript that cannot be used."""


class RunError(UserError):
    """A run folder, a checkpoint or a model folder that cannot be used."""


class Interrupted(Exception):
    """A training that a signal asked to stop, that has saved its state and says how to resume."""

    def __init__(self, sentence: str, signal: int) -> None:
        super().__init__(sentence)
        self.signal = signal


NAMED = 10
"""Of many things that are wrong in one way, the first ones are named and all are counted."""


def listed(names: Sequence[object], separator: str = ", ") -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return separator.join(str(name) for name in names[:NAMED]) + more


def faults_among(faults: Sequence[str], count: int, what: str, remedy: str = "") -> DataError:
    """The error for what is wrong with some of many things of a kind, such as "audio files".

    The remedy is of all faults; none is added where each has its own, behind a semicolon, which is said only once.
    """
    first, *others = (fault.rstrip(".") for fault in faults)
    some = [first, *(fault.partition("; ")[0] for fault in others)]
    many = f"{len(faults):,} of {count:,} {what} cannot be used: {listed(some, '; ')}"
    return DataError(f"{first if not others else many}{f': {remedy}' if remedy else ''}.")
