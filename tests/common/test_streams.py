"""The standard streams: closed, full, without a reader, of a narrow encoding; and a folder that was deleted."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from asr.commands.cli import exit_codes
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
