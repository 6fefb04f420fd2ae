"""A thread that talks to a server, so that no training step waits for an answer."""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Background:
    """Carries out actions one after the other, in the order in which they are given; none may raise.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, action: Callable[[], None]) -> None:
        """Schedules an action."""
        self._queue.put(action)

    @property
    def backlog(self) -> int:
        """Actions that have not begun."""
        return self._queue.qsize()

    def settle(self, patience: float) -> None:
        """Waits until every action so far is done, for some seconds at most."""
        done = threading.Event()
        self._queue.put(done.set)
        done.wait(patience)

    def close(self, patience: float) -> None:
        """Waits until everything is done, for some seconds at most; what is left is given up when the process ends."""
        self._queue.put(None)
        self._thread.join(patience)

    def _work(self) -> None:
        while (action := self._queue.get()) is not None:
            action()
