"""Processes: work on many items, distributed over them, and the memory that one may use."""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, TypeVar

from asr.common.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""With as many threads in each worker as there are cores, they would wait for each other most of the time."""

LOADERS_START = "fork"
"""How the processes that load audio start, whatever the default of this Python: they share what this process has in
memory and its open files, such as a manifest that has been replaced since, and a program needs no main guard."""


def map_blocks(
    function: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    block: int,
    description: str,
    unit: str,
    fresh: bool = False,
) -> list[Result]:
    """All results of `each_of_blocks`."""
    return [*each_of_blocks(function, items, block, description, unit, fresh)]


def each_of_blocks(
    function: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    block: int,
    description: str,
    unit: str,
    fresh: bool = False,
) -> Iterator[Result]:
    """Applies a function to blocks of consecutive items in one process per core, showing progress.

    The blocks depend only on the items, and so do the results, which come in their order while others are computed.

    Args:
        function: From a block of items to one result each; importable, so that other processes find it.
        block: Items in a block. A single block stays in this process.
        description: What is being done, for the progress bar, which counts items by their unit.
        fresh: Run every block in a new process, for libraries that keep state.
    """
    blocks = [items[start : start + block] for start in range(0, len(items), block)]
    with Progress(description, len(items), unit) as progress:
        if len(blocks) <= 1 and not fresh:
            for part in blocks:
                yield from function(part)
            return
        processes = min(cores(), len(blocks)) or 1
        with worker_pool(function.__module__, processes, fresh=fresh) as pool:
            for results in pool.map(function, blocks):
                progress.advance(len(results))
                yield from results


def worker_pool(
    module: str,
    processes: int,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    fresh: bool = False,
) -> ProcessPoolExecutor:
    """Worker processes of one thread each that ignore Ctrl-C, which the main process handles.

    Args:
        module: What the work needs; the fork server imports it once, and the workers are forked from there.
        start: Called in each process before its first task, with the arguments.
        fresh: Run every task in a new process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module])
    _start_fork_server()
    return ProcessPoolExecutor(
        processes,
        mp_context=context,
        initializer=_start_process,
        initargs=(start, arguments),
        max_tasks_per_child=1 if fresh else None,
    )


def _start_process(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # a fork server that was started elsewhere may have more
    if start is not None:
        start(*arguments)


def _start_fork_server() -> None:
    """Starts the fork server with one thread, ignoring Ctrl-C, which would interrupt its imports with a traceback."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment = dict(os.environ)
    os.environ.update(ONE_THREAD)  # libraries read it when they are imported
    try:
        forkserver.ensure_running()
    finally:
        for name in ONE_THREAD:
            os.environ.pop(name)
        os.environ.update(environment)
        signal.signal(signal.SIGINT, handler)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """For what makes millions of objects without cycles: the collector would look at all of them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""The memory limit of a container, in versions 2 and 1 of Linux control groups."""


def machine_memory() -> int:
    """What this process may use of the memory of the machine (bytes)."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(Path, LIMITS):
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)
