"""The standard streams of a command, which may be closed, full or of an encoding that lacks characters."""

import io
import os
import sys
from typing import TYPE_CHECKING

from asr.common.errors import UserError, printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """Standard output: that it cannot be written is a sentence."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(
                f"Standard output cannot be written ({error.strerror}): free space, or send it elsewhere."
            ) from None


class _Messages(io.FileIO):
    """Standard error: what cannot be written is lost, but not the work that it is about."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except OSError:  # also where its reader is gone
            return memoryview(data).nbytes


class _Terminal(io.TextIOWrapper):
    """Standard output on a terminal, which what is printed of data does not control."""

    def write(self, text: str) -> int:
        return super().write(printable(text))


def open_streams() -> None:
    """Makes the streams of this process such that they cannot fail in odd ways; to be called first.

    A closed one becomes /dev/null, so that no file that is opened later takes its place. Paths whose names are not text
    are printed as the bytes that they are.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
        if getattr(sys, name) is None:
            # It stays open as long as the process, as the streams of Python do.
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    for name, kind, errors in (("stdout", _Output, "surrogateescape"), ("stderr", _Messages, "backslashreplace")):
        stream = getattr(sys, name)
        opened = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
        lines = stream.line_buffering or kind is _Messages
        wrapper = _Terminal if kind is _Output and stream.isatty() else io.TextIOWrapper
        text = wrapper(opened, stream.encoding, errors, line_buffering=lines, write_through=False)
        setattr(sys, name, text)


def drop_output() -> None:
    """Writes what stdout still holds; if that fails, throws it away, since closing stdout at the end would fail too."""
    try:
        sys.stdout.flush()
    except (OSError, UserError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
