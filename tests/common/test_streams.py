"""The standard streams: closed, full, without a reader, of a narrow encoding; and a folder that was deleted."""

import io
import logging
import os
import pty
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from asr.commands.cli import exit_codes
from asr.common.errors import MaskedFormatter, UserError, printable
from tests.helpers.programs import PATIENCE, ROOT

Capture = pytest.CaptureFixture[str]


def shell(line: str, folder: Path = ROOT) -> tuple[int, str]:
    """The exit code of a line in which `asr` is the command line, and what it printed on both streams."""
    asr = f"PYTHONPATH={ROOT} {sys.executable} -m asr"
    done = subprocess.run(
        line.replace("asr ", f"{asr} "), shell=True, cwd=folder, capture_output=True, timeout=PATIENCE, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize(
    ("line", "code", "printed"),
    [
        ("asr --version >&-", 0, ""),
        ("asr --version <&- >&- 2>&-", 0, ""),
        ("asr wrong 2>&-", 2, ""),
        ("asr wrong 2>/dev/full", 2, ""),
        ("asr wrong <&- >/dev/full 2>/dev/full", 2, ""),
        (
            "asr --help >/dev/full",
            2,
            "asr: Standard output cannot be written (No space left on device): free space, or send it elsewhere.\n",
        ),
        ("asr --help 1</dev/null", 2, "asr: Standard output cannot be written (Bad file descriptor): free space,"),
    ],
)
def test_a_stream_that_is_closed_or_full_leaves_no_traceback_and_the_right_exit_code(
    line: str, code: int, printed: str
) -> None:
    done, shown = shell(line)
    assert done == code
    assert shown.startswith(printed) and "Traceback" not in shown and (printed or not shown)


def test_messages_without_a_reader_are_lost_and_the_work_goes_on() -> None:
    script = "import sys; from asr.common.streams import open_streams; open_streams()"
    script += "; [print('lost', file=sys.stderr) for _ in range(3)]; print('done')"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=writing, check=False)
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, b"done\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2Jred", "\\x1b[2Jred"), ("a\tb\x9b1m", "a\tb\\x9b1m"), ("back\rward\x07", "back\\x0dward\\x07")],
)
def test_what_is_printed_of_data_does_not_control_a_terminal(text: str, shown: str, capfd: Capture) -> None:
    script = f"from asr.common.streams import open_streams; open_streams(); print({text!r})"
    terminal, end = pty.openpty()
    tty.setraw(end)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=end, check=True)
    assert os.read(terminal, 100).decode().rstrip() == shown
    os.close(terminal)
    os.close(end)
    piped = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stdout
    assert piped.decode() == f"{text}\n", "a file gets the data as it is"
    with pytest.raises(SystemExit), exit_codes():
        raise UserError(f"The utterance {text} is empty.")
    assert capfd.readouterr().err == f"asr: {printable(' '.join(f'The utterance {text} is empty.'.split()))}\n"
    record = logging.LogRecord("asr", logging.INFO, "", 0, "%s", (text,), None)
    assert MaskedFormatter().format(record) == shown


def test_a_deleted_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done, shown = shell(f"cd {tmp_path}/gone && rmdir {tmp_path}/gone && asr check an4", tmp_path)
    assert done == 2
    assert shown == "asr: The current folder cannot be used (No such file or directory): change to another.\n"


def test_characters_that_standard_output_lacks_are_named(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "koi8-r"))
    with pytest.raises(SystemExit) as stop, exit_codes():
        print("да ü")
    assert stop.value.code == 2
    assert "Standard output is in koi8-r, which lacks '\\xfc': set PYTHONUTF8=1" in capfd.readouterr().err
