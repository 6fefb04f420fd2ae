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
    """The records of a kind in the only offline part of a run folder."""
    (part,) = offline_parts(folder)
    inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(part)]
    lines = subprocess.run(
        inspect, cwd=folder, capture_output=True, text=True, check=True, timeout=PATIENCE
    ).stdout.splitlines()
    return [record[kind] for record in map(json.loads, lines) if record["type"] == kind]


def history(folder: Path) -> list[dict[str, Any]]:
    """The rows of the history, without wandb's own keys."""
    return [without_own_keys(record["item"]) for record in records(folder, "history")]


def without_own_keys(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what wandb adds to it."""
    return {key: value for key, value in row.items() if not key.startswith("_")}
