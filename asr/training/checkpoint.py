"""Checkpoints: written to a temporary file and renamed, with a checksum in the name, so that damaged ones are skipped.

A checkpoint holds tensors and plain values only; loading one never runs code from it.
"""

import contextlib
import hashlib
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from pickle import PickleError
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from asr.common.documents import open_bytes
from asr.common.errors import RunError
from asr.common.files import sync

log = logging.getLogger(__name__)

NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.pt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Writes `step-STEP-CHECKSUM.pt`; removes all but the newest, and those of later steps, which were damaged.

    Raises:
        RunError: It cannot be written (disk full, no permission); the earlier ones are untouched.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    path = folder / f"step-{step:09d}-{_checksum(content)}.pt"
    temporary = folder / ".writing"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise RunError(
            f"The checkpoint of step {step} cannot be written to {folder} ({error.strerror}); earlier ones are whole: "
            "make room there, or set paths.runs elsewhere, then give the same command again."
        ) from None
    later = [old for at, _, old in _candidates(folder) if at >= step and old != path]
    earlier = [old for at, _, old in _candidates(folder) if at < step]
    for old in later + earlier[max(keep, 1) - 1 :]:
        old.unlink(missing_ok=True)
    return path


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Loads the newest checkpoint that is whole; logs and skips damaged ones.

    Returns:
        Its state, None where there is no checkpoint at all.

    Raises:
        RunError: There are checkpoints, and none is whole.
    """
    candidates = _candidates(folder)
    for _, checksum, path in candidates:
        try:
            file = open_bytes(path)
        except OSError as error:
            log.warning("The checkpoint %s cannot be read (%s).", path, error.strerror)
            continue
        # Never whole in memory beside its tensors: whatever its size, what is damaged takes none.
        with file:
            if checksum == hashlib.file_digest(file, "sha256").hexdigest()[:16]:
                file.seek(0)
                with foreign_checkpoints(folder):
                    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
                    return state
        log.warning("The checkpoint %s is damaged.", path)
    if candidates:
        raise RunError(
            f"No checkpoint in {folder} is whole: restore one from a copy, or start over with training.restart=true."
        )
    return None


FOREIGN = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What using a state raises that is not one of this training."""


@contextlib.contextmanager
def foreign_checkpoints(folder: Path) -> Iterator[None]:
    """Says in one sentence that a checkpoint, whole as it is, is not of the training that it stands in.

    Raises:
        RunError: The block failed as it does over content that is not a state of this training.
    """
    try:
        yield
    except (*FOREIGN, EOFError, PickleError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"The newest checkpoint in {folder} is not one of this training ({reason}): remove it, restore one from a "
            "copy, or start over with training.restart=true."
        ) from None


def apply_checkpoint(saved: Mapping[str, Any], modules: Mapping[str, nn.Module], optimizer: Optimizer) -> None:
    """Gives modules, by their names in the checkpoint, and the optimizer the state of a checkpoint.

    Raises:
        ValueError: A value is not finite, or a tensor of the optimizer has another shape than its parameter; other
            content raises what loading a state of PyTorch does.
    """
    for name, module in modules.items():
        module.load_state_dict(saved[name])
        if not all(bool(value.isfinite().all()) for value in saved[name].values()):
            raise ValueError(f"{name} has values that are not finite")
    optimizer.load_state_dict(saved["optimizer"])
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(f"the optimizer's {name} has the shape {list(value.shape)}")


def _candidates(folder: Path) -> list[tuple[int, str, Path]]:
    """Step, checksum and path of the checkpoints, the newest first."""
    names = ((NAME.fullmatch(path.name), path) for path in folder.glob("step-*.pt"))
    return sorted(((int(name[1]), name[2], path) for name, path in names if name), reverse=True)


def _checksum(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


class CheckpointWriter:
    """Writes one checkpoint at a time in a thread.

    However the block ends, except by SIGKILL, the checkpoint in progress is written first.

    Args:
        folder: Where they are.
        keep: How many of the newest are kept.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[Path] | None = None
        self._copy: Any = None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Copies a state, which may change from then on, and has it written.

        Raises:
            RunError: The previous checkpoint could not be written.
        """
        self.wait()
        self._copy = _copied(state, self._copy)
        self._pending = self._thread.submit(save_checkpoint, self._folder, step, self._copy, self._keep)

    @property
    def failed(self) -> bool:
        """Whether `wait` would raise; does not wait."""
        return self._pending is not None and self._pending.done() and self._pending.exception() is not None

    def wait(self) -> None:
        """Waits for the checkpoint in progress.

        Raises:
            RunError: It cannot be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def settle(self) -> None:
        """Waits for the checkpoint in progress, whether or not it can be written."""
        with contextlib.suppress(RunError):
            self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._thread.shutdown()
        if error is None:
            self.wait()
        elif self.failed and self._pending is not None:
            log.error("%s", self._pending.exception())


def _copied(value: Any, earlier: Any) -> Any:
    """Nested dicts and lists with copies of their tensors in main memory.

    Args:
        earlier: A copy whose memory is reused: new pages cost several times as much as the copying.
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
