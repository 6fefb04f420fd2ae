"""The fuzzers find nothing, and they find what is planted."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from asr.common.errors import DataError
from tests.helpers.refusals import threads  # noqa: F401  a fixture
from tools.fuzz.cases import Fault, Fuzzer, Subject, Use
from tools.fuzz.subjects import SUBJECTS

PATIENT = 60.0
"""What a case may take on a busy machine (s)."""
CASES = {"models": 70, "runs": 60, "archives": 150, "manifests": 60, "settings": 60}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_what_a_stranger_hands_over_is_used_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    # In a program of its own: a process that has used PyTorch's threads cannot be forked, as one of tests may have.
    fuzz = [sys.executable, "-m", "tools.fuzz", name, f"--cases={CASES[name]}", f"--seconds={PATIENT}"]
    ended = subprocess.run(fuzz, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


class Planted(Subject):
    """A file that is spoiled in every third case, and a use of it that then has a fault."""

    name = "planted"
    kinds = ("file",)

    def __init__(self, fault: Callable[[Path], object]) -> None:
        self.fault = fault

    def make(self) -> None:
        Path("good.txt").write_text("good")

    def take(self, kind: str, good: Path) -> Use:
        Path("given.txt").write_bytes((good / "good.txt").read_bytes())
        return Use(self.use, ["written"])

    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        if draw.randrange(3):
            return []
        Path("given.txt").write_text(str(outside))
        return ["given.txt is spoiled"]

    def use(self) -> None:
        Path("written").write_text("this may be")
        read = Path("given.txt").read_text()
        if read != "good":
            self.fault(Path(read))


def search(fault: Callable[[Path], object], place: Path, seconds: float = 10.0) -> list[Fault]:
    return list(Fuzzer(Planted(fault), 1, place / "place", seconds, memory=1 << 30).run(range(8)))


def refuse(outside: Path) -> None:
    raise DataError("one sentence.")


def end(code: int) -> Callable[[Path], None]:
    def leave(outside: Path) -> None:
        print("asr: one sentence.", file=sys.stderr)
        raise SystemExit(code)

    return leave


def hang(outside: Path) -> None:
    while True:
        pass


def try_elsewhere(outside: Path) -> None:
    with suppress(OSError):
        (Path("/nowhere") / "new.txt").write_text("x")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "exception": (lambda outside: {}["key"], "KeyError in test_fuzz.py"),
    "exit code": (end(1), "exit code 1"),
    "crash": (lambda outside: os.kill(os.getpid(), signal.SIGSEGV), "exit code -11"),
    "memory": (lambda outside: bytearray(2 << 30), "MemoryError in test_fuzz.py"),
    "new file": (lambda outside: (outside / "new.txt").write_text("x"), "writes outside"),
    "changed file": (lambda outside: os.truncate(outside / "kept.txt", 0), "writes outside"),
    "link": (lambda outside: Path("link").symlink_to(outside), "writes outside"),
    "removed": (lambda outside: (outside / "kept.txt").unlink(), "writes outside"),
    "elsewhere": (try_elsewhere, "writes outside"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found_and_comes_again(kind: str, tmp_path: Path) -> None:
    fault, what = FAULTS[kind]
    found = search(fault, tmp_path)
    assert found and {one.what.removesuffix(" <lambda>") for one in found} == {what}
    assert all(one.said == ["file", "given.txt is spoiled"] for one in found)
    again = Fuzzer(Planted(fault), 1, tmp_path / "again", memory=1 << 30).run([found[-1].number])
    assert [one.number for one in again] == [found[-1].number]


def test_a_hang_is_found(tmp_path: Path) -> None:
    (first, *_) = search(hang, tmp_path, seconds=0.2)
    assert first.what.startswith("hang") and "in hang" in first.shown


@pytest.mark.parametrize("kind", [refuse, end(2), end(0), lambda outside: None])
def test_a_refusal_or_a_result_is_no_fault(kind: Callable[[Path], object], tmp_path: Path) -> None:
    assert search(kind, tmp_path) == []
