"""Checkpoints: written beside and renamed, with their checksum in the name, so that a damaged one is passed over.

A checkpoint holds tensors and plain values only; loading one never runs code from it.
"""

import contextlib
import hashlib
import io
import logging
import os
import re
from pathlib import Path
from typing import Any

import torch

from asr.data.folders import sync
from asr.errors import RunError

log = logging.getLogger(__name__)

NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.pt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Writes `step-STEP-CHECKSUM.pt` and removes all but the newest, and those of later steps, which were damaged.

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
    later = [old for old in _candidates(folder) if old != path and _step(old) >= step]
    earlier = [old for old in _candidates(folder) if _step(old) < step]
    for old in later + earlier[max(keep, 1) - 1 :]:
        old.unlink(missing_ok=True)
    return path


def newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Loads the newest checkpoint that is whole; a damaged one is named and passed over.

    Returns:
        Its state, None where there is no checkpoint at all.

    Raises:
        RunError: There are checkpoints, and none is whole.
    """
    candidates = _candidates(folder)
    for path in candidates:
        try:
            content = path.read_bytes()
        except OSError as error:
            log.warning("The checkpoint %s cannot be read (%s).", path, error.strerror)
            continue
        match = NAME.fullmatch(path.name)
        if match and match[2] == _checksum(content):
            state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            return state
        log.warning("The checkpoint %s is damaged.", path)
    if candidates:
        raise RunError(
            f"No checkpoint in {folder} is whole: put one back from a copy, or begin anew with training.restart=true."
        )
    return None


def _candidates(folder: Path) -> list[Path]:
    """Checkpoints, the newest first."""
    return sorted((path for path in folder.glob("step-*.pt") if NAME.fullmatch(path.name)), reverse=True)


def _step(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _checksum(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
