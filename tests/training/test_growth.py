"""A training keeps nothing of its steps: what is open after an epoch is open after the next ones."""

import json
import os
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from asr.training.trainer import Trainer
from tests.helpers import programs, trainings
from tests.helpers.trainings import SHORT_BATCHES, SMALL, prepare_tones

STEPS, EPOCHS = 7, 4


def train_and_count() -> None:
    """`asr`, but it writes how many files are open at each step to COUNTS."""
    accumulate, counts = Trainer.accumulate, list[int]()

    def counting(self: Trainer[Any], *arguments: Any) -> Any:
        counts.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
        Path(os.environ["COUNTS"]).write_text(json.dumps(counts))
        return accumulate(self, *arguments)

    Trainer.accumulate = counting  # type: ignore[method-assign]
    trainings.main()


@pytest.mark.slow
@pytest.mark.parametrize(("tracker", "workers"), [("disabled", 1), ("offline", 0)])
def test_no_file_stays_open(tracker: str, workers: int, tmp_path: Path) -> None:
    recipe = prepare_tones(tmp_path / "data")
    overrides = [SHORT_BATCHES, f"tracker={tracker}", f"hardware.workers={workers}", f"training.epochs={EPOCHS}"]
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    done = programs.run(train_and_count, ["train", recipe, *paths, *SMALL, *overrides], COUNTS=str(tmp_path / "counts"))
    assert done.returncode == 0, done.stderr
    counts = json.loads((tmp_path / "counts").read_text())
    assert len(counts) >= (EPOCHS - 1) * STEPS
    # Usually: a loading process that ends or starts has some open for a moment.
    assert median(counts[-STEPS:]) <= median(counts[STEPS : 2 * STEPS])
