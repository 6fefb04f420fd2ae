"""The figures of docs/explanation/performance.md are those that were measured."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_made_of_the_stored_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ROOT / "tools" / "benchmark"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("benchmark_of_training", folder / "training.py")
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, benchmark)
    spec.loader.exec_module(benchmark)
    stored = ROOT / "docs" / "explanation" / "performance.json"
    figures = f"\n{benchmark.tables(json.loads(stored.read_text()))}\n" if stored.exists() else ""
    assert (ROOT / "docs" / "explanation" / "performance.md").read_text().endswith(benchmark.HEADING + figures)
