"""Offline runs of Weights & Biases, read back as wandb itself reads them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 600
"""The longest that a process of a test may take (s)."""


def offline_parts(folder: Path) -> list[Path]:
    """The offline parts in a run folder."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The records of a kind in the offline parts of a run folder, the oldest first."""
    parts = sorted(offline_parts(folder), key=lambda part: min(part.glob("*.wandb")).stat().st_mtime_ns)
    return [record[kind] for part in parts for record in _records(part) if record["type"] == kind]


def _records(part: Path) -> list[dict[str, Any]]:
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(part)]
    lines = subprocess.run(
        inspect, cwd=part.parent, capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout.splitlines()
    return [json.loads(line) for line in lines]


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows of the history, without wandb's own keys."""
    return [without_own_keys(record["item"]) for record in records(folder, "history")]


def without_own_keys(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what wandb adds to it."""
    return {key: value for key, value in row.items() if not key.startswith("_")}
