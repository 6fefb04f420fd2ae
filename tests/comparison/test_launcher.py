"""The runs of a comparison in processes of their own: what is told of one that ended early."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asr.comparison.launcher import Launcher


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("kill -KILL $$", "Killed (signal 9) ended it, as where memory is short."),
        ("kill -SEGV $$", "Segmentation fault (signal 11) ended it."),
        ("echo 'asr: The disk is full.' >&2; exit 2", "The disk is full."),
        ("exit 1", "Epoch 3: dev WER 8 %"),
    ],
)
def test_a_run_that_was_killed_tells_the_signal_and_not_its_last_epoch(
    ends: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho 'Epoch 3: dev WER 8 %'\n{ends}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    run: Any = SimpleNamespace(name="gru", seed=1, overrides=[], folder=SimpleNamespace(path=Path("gru-0123")))
    with Launcher("an4", 1) as launcher:
        assert launcher.run_all([run], "cells", tmp_path / "logs") == {"gru": said}
