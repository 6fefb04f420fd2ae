"""Cases: an example that was spoiled, used in a process of its own, and what must not come of it."""

import faulthandler
import json
import os
import re
import resource
import shutil
import signal
import stat
import sys
import tempfile
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from asr.commands.cli import main
from asr.common.errors import UserError
from asr.common.seeds import derive_seed

SECONDS = 10.0
MEMORY = 4 << 30
LONGEST_SENTENCE = 5000
"""Characters; a path may have 4096."""
LIBRARIES = ("home", "tmp")
"""Folders for what libraries keep for a user, and for temporary files: they are part of no case."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.link": (1,), "os.symlink": (1,),
    "os.chmod": (0,), "os.chown": (0,), "os.truncate": (0,), "os.utime": (0,), "os.setxattr": (0,),
}  # fmt: skip
"""Events of Python's audit hooks that change the file system, and which of their arguments are paths."""
PER_PROCESS = 25
"""Cases that a process runs, since forking one with PyTorch takes as long as several cases."""
OF_FUZZER = 70
"""Exit code of a process in which this program failed."""
TIMEOUT = "Timeout ("
"""What faulthandler writes."""
TRACES = ("Traceback (most recent call last)", "--- Logging error ---")


@dataclass(frozen=True)
class Use:
    """What a user does with an example in the current folder."""

    call: Callable[[], object]
    """A UserError, or SystemExit as a command ends with, is no fault."""
    writes: Sequence[str] = ()
    """What that may change, relative to the current folder."""


class Subject(ABC):
    """What a stranger may hand over."""

    name: str
    kinds: Sequence[str]
    """Of examples and uses; those that stand here more often are drawn more often."""

    @abstractmethod
    def make(self) -> None:
        """Writes good examples to the current folder."""

    @abstractmethod
    def take(self, kind: str, good: Path) -> Use:
        """Copies a good example to the current folder."""

    @abstractmethod
    def spoil(self, kind: str, draw: Random, outside: Path) -> list[str]:
        """Spoils what `take` copied; says how.

        Args:
            outside: A folder that must stay as it is, for links.
        """


@dataclass(frozen=True)
class Fault:
    """What should not have come of a case."""

    number: int
    said: Sequence[str]
    what: str
    """A line that is the same for faults that are alike."""
    shown: str
    """The whole of it."""


class Fuzzer:
    """Runs the cases of a subject, each a pure function of the seed and its number.

    Args:
        place: An empty folder; cases lie in it, and it may be removed afterwards.
        seconds: How long a case may take.
        memory: How much it may use (bytes).
    """

    def __init__(
        self, subject: Subject, seed: int, place: Path, seconds: float = SECONDS, memory: int = MEMORY
    ) -> None:
        self.subject, self.seed, self.seconds, self.memory = subject, seed, seconds, memory
        self.place = place.resolve()
        self.good, self.folder, self.outside = (self.place / name for name in ("good", "case", "outside"))
        self.log, self.result = self.place / "log", self.place / "result"
        for name in ("good", *LIBRARIES):
            (self.place / name).mkdir(parents=True)
        with self.surroundings(self.good):
            subject.make()
        for kind in dict.fromkeys(subject.kinds):
            self.clear()
            with self.surroundings(self.folder):
                use = subject.take(kind, self.good)
                # In this process, which then has imported what every case needs.
                if fault := _fault_of(use.call, self.log):
                    raise RuntimeError(f"The example {kind} of {subject.name}, not spoiled, fails: {fault}")

    def run(self, numbers: Sequence[int]) -> Iterator[Fault]:
        """Runs cases, some in a process, which a fault ends; gives the faults."""
        waiting = list(numbers)
        while waiting:
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                try:
                    _Process(self).run(waiting[:PER_PROCESS])
                finally:  # this program goes on in the parent only
                    self.log.write_text(traceback.format_exc())
                    os._exit(OF_FUZZER)
            _, status = os.waitpid(pid, 0)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what it started
            code = os.waitstatus_to_exitcode(status)
            if code == OF_FUZZER:
                raise RuntimeError(self.log.read_text())
            *before, last = [json.loads(line) for line in self.result.read_text().splitlines()]
            done = len(before) // 2 + 1
            if len(before) % 2 == 0:  # the last one began and did not end
                yield self._unfinished(last, code)
            elif last != [None, None]:
                yield Fault(*before[-1], *last)
            waiting = waiting[done:]

    def _unfinished(self, begun: tuple[int, Sequence[str]], code: int) -> Fault:
        """The fault of a case whose process ended before it did."""
        log = self.log.read_text(errors="replace")
        if TIMEOUT not in log:
            return Fault(*begun, f"exit code {code}", log[-3000:])
        frames = log[log.rindex(TIMEOUT) :]
        places = re.findall(r'File "([^"]*)", line \d+ in (\w+)', frames)
        here = next((f"{Path(file).name} {name}" for file, name in places if "/asr/" in file), "")
        return Fault(*begun, f"hang in {here}", frames)

    def clear(self) -> None:
        """Empties the folder of a case, and makes the one outside it as it is for each."""
        for folder in (self.folder, self.outside):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        (self.outside / "kept.txt").write_text("kept\n")

    @contextmanager
    def surroundings(self, folder: Path) -> Iterator[None]:
        """Those of a block: its folder, an environment without the user's, and what is printed goes to the log."""
        before, environment = Path.cwd(), dict(os.environ)
        streams = [os.dup(number) for number in (0, 1, 2)]
        log = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        _replace_streams([os.open(os.devnull, os.O_RDONLY), log, os.dup(log)])
        os.chdir(folder)
        os.environ |= {"HOME": str(self.place / "home"), "TMPDIR": str(self.place / "tmp")}
        tempfile.tempdir = None
        try:
            # As `asr.common.streams.open_streams` makes them; pytest has others.
            with (
                open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False) as out,
                open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as err,
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                yield
        finally:
            _replace_streams(streams)
            os.environ.clear()
            os.environ.update(environment)
            tempfile.tempdir = None
            os.chdir(before)


def _replace_streams(descriptors: Sequence[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for number, new in enumerate(descriptors):
        os.dup2(new, number)
        os.close(new)


class _Process:
    """A process that runs cases."""

    def __init__(self, fuzzer: Fuzzer) -> None:
        self.fuzzer = fuzzer
        self.watching: list[str] | None = None
        self.allowed: list[str] = []
        self.begun = _kilobytes("VmRSS") * 1024
        """What the program that was forked had taken already (bytes)."""

    def run(self, numbers: Sequence[int]) -> NoReturn:
        """Runs cases up to the first fault, and ends the process."""
        fuzzer = self.fuzzer
        os.setsid()
        faulthandler.enable(file=2)
        resource.setrlimit(resource.RLIMIT_DATA, (_kilobytes("VmData") * 1024 + fuzzer.memory,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(self._notice)
        with fuzzer.result.open("w") as result:
            for number in numbers:
                fuzzer.clear()
                draw = Random(derive_seed("fuzz", fuzzer.subject.name, fuzzer.seed, number))
                kind = draw.choice(fuzzer.subject.kinds)
                with fuzzer.surroundings(fuzzer.folder):
                    try:
                        use = fuzzer.subject.take(kind, fuzzer.good)
                        said = [kind, *fuzzer.subject.spoil(kind, draw, fuzzer.outside)]
                    except Exception as error:
                        said, use = [kind], Use(partial(_again, error))
                    print(json.dumps([number, said]), file=result, flush=True)
                    faulthandler.dump_traceback_later(fuzzer.seconds, exit=True, file=2)
                    fault = self._fault_of(use)
                    faulthandler.cancel_dump_traceback_later()
                print(json.dumps(fault or [None, None]), file=result, flush=True)
                if fault is not None:
                    break
        os._exit(0)

    def _fault_of(self, use: Use) -> tuple[str, str] | None:
        self.allowed = [str(self.fuzzer.folder / name) for name in use.writes]
        self.allowed += [str(self.fuzzer.place / name) for name in (*LIBRARIES, "log", "result")]
        before = self._listing()
        self.watching = []
        fault = _fault_of(use.call, self.fuzzer.log)
        noticed, self.watching = self.watching, None
        if fault is None and (taken := _kilobytes("VmHWM") * 1024 - self.begun) > self.fuzzer.memory:
            return "memory", f"It took {taken / 2**30:.1f} GiB."
        os.chdir(self.fuzzer.folder)
        changed = sorted({str(path) for path, *_ in before ^ self._listing()})
        if fault is None and (noticed or changed):
            return "writes outside", f"It changed {', '.join(dict.fromkeys([*noticed, *changed]))}."
        return fault

    def _listing(self) -> set[tuple[Any, ...]]:
        """Every file and folder below the place that must stay as it is."""
        found: set[tuple[Any, ...]] = set()
        for root, folders, files in os.walk(self.fuzzer.place):
            folders[:] = [name for name in folders if not self._is_allowed(f"{root}/{name}")]
            for path in (f"{root}/{name}" for name in (*folders, *files)):
                if not self._is_allowed(path):
                    status = os.lstat(path)
                    content = None if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)
                    found.add((path, status.st_mode, status.st_ino, content))
        return found

    def _is_allowed(self, path: str) -> bool:
        return any(path == place or path.startswith(f"{place}/") for place in self.allowed)

    def _notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Notes what is written elsewhere, also outside the place."""
        if self.watching is None:
            return
        places = CHANGES.get(event, ())
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            places = (0,)
        for given in (arguments[place] for place in places):
            if given is None or isinstance(given, int):
                continue
            descriptor = arguments[-1] if event not in ("open", "os.truncate", "os.setxattr") else -1
            below = Path(f"/proc/self/fd/{descriptor}" if isinstance(descriptor, int) and descriptor >= 0 else ".")
            path = below / os.fsdecode(given)
            # Other changes than of content are those of a link itself.
            path = Path(os.path.realpath(path)) if event == "open" else Path(os.path.realpath(path.parent)) / path.name
            if event == "os.mkdir" and path.is_dir():
                continue  # it is only made sure that it is there
            if not self._is_allowed(str(path)) and not str(path).startswith(("/dev/null", "/proc/self/", "/dev/shm/")):
                self.watching.append(f"{event} {path}")


def _again(error: Exception) -> NoReturn:
    """Makes a fault of this program one of the case."""
    raise error


def _kilobytes(key: str) -> int:
    """What Linux says of the memory of this process."""
    (found,) = re.findall(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found)


def _fault_of(use: Callable[[], object], log: Path) -> tuple[str, str] | None:
    """What is wrong with the end of a use: a line and the whole of it."""
    fault = None
    try:
        use()
    except UserError as error:
        fault = _fault_of_sentence(str(error))
    except SystemExit as end:
        sys.stderr.flush()
        last = (log.read_text(errors="replace").splitlines() or [""])[-1]
        if end.code == 2 and last.startswith("asr: "):
            fault = _fault_of_sentence(last)
        elif end.code not in (None, 0):
            fault = f"exit code {end.code}", last
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tools/fuzz/" not in frame.filename]
        own = [frame for frame in frames if "/asr/" in frame.filename] or frames
        place = f"{Path(own[-1].filename).name} {own[-1].name}" if own else ""
        shown = "".join(traceback.format_exception(error)[-12:])
        fault = f"{type(error).__name__} in {place}", shown[-4000:]
    sys.stdout.flush()
    sys.stderr.flush()
    printed = log.read_text(errors="replace")
    if fault is None and (found := next((trace for trace in TRACES if trace in printed), None)):
        fault = found, printed[printed.index(found) :][:4000]
    return fault


def _fault_of_sentence(sentence: str) -> tuple[str, str] | None:
    if "\n" in sentence:
        return "a sentence of several lines", sentence[:1000]
    if len(sentence) > LONGEST_SENTENCE:
        return "a sentence without end", f"{sentence[:300]} ... ({len(sentence)} characters)"
    return None


def command(*arguments: str, writes: Sequence[str] = ()) -> Use:
    """The use of an example by a command."""
    return Use(lambda: main(arguments), writes)
