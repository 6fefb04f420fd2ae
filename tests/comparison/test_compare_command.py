"""`asr compare` on a recipe, from manifests to the page: it resumes, and a run that fails stops no other."""

import json
import subprocess
from pathlib import Path

import pytest

from asr.commands import cli
from asr.comparison.summary import read_summary
from tests.helpers import programs
from tests.helpers.corpora import write_corpus

TEXTS = ["ONE TWO", "TWO THREE", "THREE ONE", "TWO TWO ONE", "ONE", "THREE", "TWO ONE", "THREE THREE"]
SMALL = [
    "tokenizer=char",
    "model.layers=1",
    "model.channels=4",
    "hardware.threads=1",
    "hardware.workers=0",
    "tracker=offline",
]
COMPARE = ["-m", "model=rnn,gru", "seed=1,2", "compare.name=cells", "compare.parameters=1e5", "training.epochs=2"]


def compare(folder: Path) -> subprocess.CompletedProcess[str]:
    paths = [f"paths.data={folder / 'data'}", f"paths.runs={folder / 'runs'}"]
    return programs.run(cli.main, ["compare", "an4", *COMPARE, *SMALL, *paths])


@pytest.mark.slow
def test_a_comparison_from_manifests_to_the_page(tmp_path: Path) -> None:
    write_corpus(tmp_path / "data" / "an4", {"train": TEXTS * 2, "dev": TEXTS[:3], "test": TEXTS[3:]})
    first = compare(tmp_path)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "runs/an4/comparisons/cells"
    comparison = read_summary(folder / "comparison.json")
    assert [(model.label, len(model.runs)) for model in comparison.models] == [("rnn", 2), ("gru", 2)]
    for model in comparison.models:
        assert model.parameters == pytest.approx(1e5, rel=0.02)
        assert model.peak_memory_mb is not None and model.peak_memory_mb.mean > 100
        memory = model.runs[0].memory
        assert memory is not None and memory.context_wer[-1] == model.runs[0].test.wer
        for run in model.runs:
            assert "tracker.group=cells" in run.test.command
    for picture in ("wer", "curves", "reach", "context"):
        assert (folder / f"{picture}.png").is_file()
    assert list(folder.glob("wandb/offline-run-*/files/media/images/*.png"))

    weights = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/an4/*/model/model.safetensors")}
    assert len(weights) == 4
    broken = next(iter(weights)).parents[1]
    (broken / "evaluation/test/greedy/results.json").unlink()
    again = compare(tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count(" begins; ") == 1
    assert all(path.stat().st_mtime_ns == time for path, time in weights.items())

    metrics = broken / "metrics.jsonl"
    metrics.write_text("no row\n")
    damaged = compare(tmp_path)
    assert damaged.returncode == 2
    assert "1 of 4 runs failed" in damaged.stderr
    assert json.loads((folder / "comparison.json").read_text())["failed"]
