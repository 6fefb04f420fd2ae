"""Progress: a bar on a terminal, plain lines every few seconds in a log, with the time that is left."""

import logging
import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from tqdm import tqdm

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Counts work done and shows it.

    Args:
        total: Units of work; 0 where it is unknown. One that is exceeded was wrong, and counts as unknown too.
        done: Units that an earlier process has done.
    """

    def __init__(self, description: str, total: float, unit: str, done: float = 0) -> None:
        self.description, self.total, self.unit, self.done = description, total, unit, done
        self._plain = not sys.stderr.isatty()
        self._bar = tqdm(
            desc=description,
            total=round(total) or None,
            initial=round(done),
            unit=unit,
            disable=self._plain,
            dynamic_ncols=True,
            leave=False,
        )
        self._began, self._done_before = time.monotonic(), done
        self._last_line = self._began

    def expect(self, total: float) -> None:
        """Corrects the total."""
        self.total = total
        self._bar.total = round(total) or None

    def advance(self, units: float = 1, note: str = "") -> None:
        """Counts units as done; the note (losses, rates) is shown after the bar."""
        before, self.done = self.done, self.done + units
        if round(self.done) > round(self.total):
            self.expect(0)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(round(self.done) - round(before))
        if self._plain and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            total = f" of {round(self.total)}" if self.total else ""
            shown = f"{round(self.done)}{total} {self.unit}{self.left}{note and f', {note}'}"
            log.info("%s: %s", self.description, shown)

    @property
    def left(self) -> str:
        """The time that the rest takes at the speed so far, as ", 0:01:30 left"; empty where it is not known."""
        done = self.done - self._done_before
        if not self.total or done <= 0 or self.done >= self.total:
            return ""
        seconds = (time.monotonic() - self._began) * (self.total - self.done) / done
        return f", {timedelta(seconds=round(seconds))} left"

    def say(self, line: str) -> None:
        """Logs a line without breaking the bar."""
        self._bar.clear()
        log.info("%s", line)
        self._bar.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
