"""A real agent of Weights & Biases whose run is preempted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.tracking.metrics import read_metrics
from tests.helpers.documented import ROOT
from tests.helpers.tracked import no_login  # noqa: F401  a fixture
from tests.helpers.trainings import SHORT_BATCHES, SMALL, prepare_tones, run_folder
from tests.helpers.wandb_server import Sweep, wandb_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_login")]

TRAIN = "from tests.helpers.trainings import main; main()"


def test_a_run_that_is_preempted_twice_is_requeued_and_ends_as_one(tmp_path: Path) -> None:
    recipe = prepare_tones(tmp_path / "data")
    paths = [f"paths.data={tmp_path / 'data'}", f"paths.runs={tmp_path / 'runs'}"]
    settings = [*SMALL, SHORT_BATCHES, "hardware.workers=0", "tracker=online", "training.log_every_steps=1"]
    command = [sys.executable, "-c", TRAIN, "train", recipe, *paths, *settings, "${args_no_hyphens}"]
    with wandb_server() as server:
        server.sweep = Sweep(command, {"training.epochs": {"value": 2}, "seed": {"value": 3}})
        environment = {"WANDB_API_KEY": "k" * 40, "WANDB_BASE_URL": server.url, "TERMINATE_AT": "5"}
        agent = subprocess.run(
            [sys.executable, "-m", "wandb", "agent", "someone/asr/sweep"],
            cwd=tmp_path,
            env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert server.sweep.starts == 3, agent.stdout + agent.stderr
        assert list(server.runs) == ["drawn123"] and server.exit_codes == {"drawn123": 0}
        rows = read_metrics(run_folder(tmp_path, recipe))
        assert [row["step"] for _, row in sorted(server.history.items())] == [row["step"] for row in rows]
        trained = [row["step"] for row in rows if "train/loss" in row]
        assert trained == list(range(1, rows[-1]["step"] + 1)) and server.repeated == 0
