"""Progress: a bar on a terminal, plain lines every few seconds in a log."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Counts work done and shows it.

    Of the total of units, an earlier process may have finished some.
    """

    def __init__(self, description: str, total: int, unit: str, done: int = 0) -> None:
        self.description, self.total, self.unit, self.done = description, total, unit, done
        self._plain = not sys.stderr.isatty()
        self._bar = tqdm(
            desc=description, total=total, initial=done, unit=unit, disable=self._plain, dynamic_ncols=True, leave=False
        )
        self._last_line = time.monotonic()

    def advance(self, units: int = 1, note: str = "") -> None:
        """Counts units as done; the note (losses, rates) is shown after the bar."""
        self.done += units
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(units)
        if self._plain and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            note = f", {note}" if note else ""
            log.info("%s: %d of %d %s%s", self.description, self.done, self.total, self.unit, note)

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
