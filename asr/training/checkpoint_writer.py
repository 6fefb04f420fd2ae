"""Writes checkpoints beside the training, which waits only for a copy of its state in memory."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from asr.training.checkpoint import save_checkpoint

log = logging.getLogger(__name__)


class CheckpointWriter:
    """Writes one checkpoint at a time in a thread.

    However the block ends, but for SIGKILL, the checkpoint in progress is written first.

    Args:
        folder: Where they lie.
        keep: How many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[Path] | None = None
        self._copy: Any = None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Takes a copy of a state, which may change from then on, and has it written.

        Raises:
            RunError: The checkpoint before could not be written.
        """
        self.wait()
        self._copy = _copied(state, self._copy)
        self._pending = self._thread.submit(save_checkpoint, self._folder, step, self._copy, self._keep)

    @property
    def failed(self) -> bool:
        """Whether `wait` would raise; known without waiting."""
        return self._pending is not None and self._pending.done() and self._pending.exception() is not None

    def wait(self) -> None:
        """Waits for the checkpoint in progress.

        Raises:
            RunError: It cannot be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if error is None:
            self.wait()
        elif self.failed and self._pending is not None:
            log.error("%s", self._pending.exception())


def _copied(value: Any, earlier: Any) -> Any:
    """Nested dicts and lists with copies of their tensors in main memory.

    Args:
        earlier: A copy whose memory may be taken again: fresh pages cost several times as much as the copying.
    """
    match value:
        case Tensor():
            if isinstance(earlier, Tensor) and (earlier.shape, earlier.dtype) == (value.shape, value.dtype):
                return earlier.copy_(value.detach())
            return value.detach().to("cpu", copy=True)
        case dict():
            known = earlier if isinstance(earlier, dict) else {}
            return {key: _copied(item, known.get(key)) for key, item in value.items()}
        case list() | tuple():
            before = earlier if isinstance(earlier, type(value)) and len(earlier) == len(value) else [None] * len(value)
            return type(value)(_copied(item, old) for item, old in zip(value, before, strict=True))
        case _:
            return value
