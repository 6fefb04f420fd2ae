"""Programs in processes of their own, which a fork server starts: they need not import PyTorch first.

They have an environment, arguments and outputs of their own, and may be killed, as those that a shell starts.
"""

import atexit
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from time import monotonic
from typing import Any

from asr.common.processes import worker_pool

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0
"""Longest time of a program (s): a test whose ranks wait for each other fails rather than hangs."""

LAST_SECONDS = 30.0
"""Between SIGTERM and SIGKILL, for ranks one of whose number failed (s); torchrun gives them as long."""


def start_fork_server() -> None:
    """Has the fork server of this process import what programs need, in the background."""
    with worker_pool("tests.helpers.imported", 1):
        pass  # the server starts before the first process does


class Program:
    """A program that runs.

    Args:
        main: Its main function, which a module must have under its name.
        arguments: Of its command line.
        environment: Variables that it has beside those of this process.
    """

    def __init__(self, main: Callable[[], Any], arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._outputs = [tempfile.NamedTemporaryFile("r", encoding="utf-8") for _ in ("stdout", "stderr")]  # noqa: SIM115  read to the end
        places = [output.name for output in self._outputs]
        context = multiprocessing.get_context("forkserver")
        self.process = context.Process(target=_run, args=(main, list(arguments), os.environ | environment, places))
        self.process.start()

    def end(self, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Waits for its end; after the given time it is killed.

        Returns:
            Its exit code, minus the signal that killed it, and what it printed.

        Raises:
            TimeoutError: It was killed here.
        """
        self.process.join(seconds)
        late = self.process.is_alive()
        if late:
            self.process.kill()
            self.process.join()
        stdout, stderr = (output.read() for output in self._outputs)
        for output in self._outputs:
            output.close()
        if late:
            raise TimeoutError(f"It ran for more than {seconds:.0f} s and printed:\n{stdout}{stderr}")
        code = self.process.exitcode
        assert code is not None
        return subprocess.CompletedProcess([], code, stdout, stderr)


def run(main: Callable[[], Any], arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    return Program(main, arguments, environment).end()


def run_ranks(
    main: Callable[[], Any], arguments: Sequence[str], ranks: int, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program on several ranks as torchrun does: where one of them fails, the others get SIGTERM.

    Returns:
        The exit code of the rank that failed first, else 0, and what all of them printed.
    """
    if ranks == 1:
        return run(main, arguments, **environment)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1"}
        meeting["MASTER_PORT"] = str(free.getsockname()[1])
    programs = [
        Program(main, arguments, environment | meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(ranks)
    ]
    running = {program.process.sentinel: program for program in programs}
    end, code = monotonic() + PATIENCE, 0
    while running and code == 0 and monotonic() < end:
        for sentinel in wait(list(running), timeout=end - monotonic()):
            assert isinstance(sentinel, int)
            process = running.pop(sentinel).process
            process.join()
            code = code or process.exitcode or 0
    late = code == 0 and bool(running)
    for program in running.values():
        program.process.terminate()
    for program in running.values():
        program.process.join(LAST_SECONDS)
        program.process.kill()
    ended = [program.end() for program in programs]
    stdout, stderr = ("".join(getattr(one, name) for one in ended) for name in ("stdout", "stderr"))
    if late:
        raise TimeoutError(f"The ranks ran for more than {PATIENCE:.0f} s and printed:\n{stdout}{stderr}")
    return subprocess.CompletedProcess([], code, stdout, stderr)


def _run(main: Callable[[], Any], arguments: list[str], environment: dict[str, str], places: list[str]) -> None:
    """Makes the process one of its own and runs the program."""
    multiprocessing.set_start_method(None, force=True)  # the default again: processes that load are forked
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined] - its workers start there too
    forkserver.ensure_running = forkserver._forkserver.ensure_running  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    sys.argv = [main.__module__, *arguments]
    for descriptor, place in enumerate(places, start=1):
        with open(place, "ab") as output:  # noqa: PTH123
            os.dup2(output.fileno(), descriptor)
    code = _exit_code(main)
    atexit._run_exitfuncs()  # a child of the fork server would leave without
    sys.exit(code)


def _exit_code(main: Callable[[], Any]) -> Any:
    """Runs a program and frees the frames of its end: loaders in them must stop before their workers are joined."""
    try:
        return main()
    except SystemExit as ended:
        return ended.code
    except BaseException:
        traceback.print_exc()
        return 1
