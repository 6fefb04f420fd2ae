"""A run in MLflow, on the server or in the database that MLFLOW_TRACKING_URI names.

Each row is one request with its number as a metric, so after a restart the run goes on with the first row that the
server lacks.
"""

import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from asr.common.documents import read_text
from asr.common.errors import ConfigError
from asr.common.files import atomic_write_text
from asr.common.optional import optional
from asr.common.tables import csv_lines
from asr.settings.compose import flattened
from asr.settings.tracker import TrackerConfig
from asr.tracking.metrics import Row
from asr.tracking.recorder import Recorder, metrics_of
from asr.tracking.wandb_run import Job

ADDRESS = "MLFLOW_TRACKING_URI"
NUMBER = "row"
"""The metric that says how many rows of metrics.jsonl there are."""
LONGEST_ID = 1024
LONGEST_VALUE = 6000
"""Characters of a parameter that a server takes (MLflow 3)."""
MOST_PARAMETERS = 100
"""In one request."""
ODD = re.compile(r"[^\w\-. /]")
"""Characters that names in MLflow must not have."""


class MlflowRun(Recorder):
    """The run whose id is kept in the run folder, or a new one in the experiment `tracker.project`.

    Raises:
        ConfigError: MLflow is not installed, or MLFLOW_TRACKING_URI is not set.
    """

    name = "MLflow"

    def __init__(self, folder: Path, config: TrackerConfig, job: Job) -> None:
        mlflow = optional("mlflow", "mlflow")
        if not os.environ.get(ADDRESS):
            raise ConfigError(
                f"tracker.also has mlflow: set {ADDRESS} in the environment, as to http://HOST:5000 or "
                "sqlite:////PATH/mlflow.db."
            )
        self._mlflow = mlflow
        self._path = folder / "mlflow_id"
        self._config, self._job = config, job
        self._client: Any = None
        self._recorded = 0

    def row(self, number: int, row: Row) -> None:
        client = self._started()
        if number >= self._recorded:
            values = metrics_of(row) | {NUMBER: number + 1}
            client.log_batch(
                self._id, metrics=[self._metric(name, value, row["step"]) for name, value in values.items()]
            )

    def figure(self, name: str, value: float, step: int) -> None:
        self._started().log_batch(self._id, metrics=[self._metric(name, value, step)])

    def text(self, name: str, text: str, step: int) -> None:
        self._started().log_text(self._id, text, f"{_name(name)}.txt")

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        self._started().log_text(self._id, csv_lines([columns, *rows]), f"{_name(name)}.csv")

    def picture(self, name: str, path: Path, step: int) -> None:
        self._started().log_artifact(self._id, str(path), "figures")

    def audio(self, name: str, waveform: npt.NDArray[np.float32], sampling_rate: int, step: int) -> None:
        group, _, own = _name(name).rpartition("/")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{own}.wav"
            soundfile.write(path, waveform, sampling_rate, subtype="PCM_16")
            self._started().log_artifact(self._id, str(path), group or None)

    def finish(self, succeeded: bool) -> None:
        self._started().set_terminated(self._id, "FINISHED" if succeeded else "FAILED")

    def _metric(self, name: str, value: float, step: int) -> Any:
        return self._mlflow.entities.Metric(_name(name), value, round(1000 * time.time()), step)

    def _started(self) -> Any:
        """The client, with the run open; here and not at the start, so that a server that is gone stops nothing."""
        if self._client is not None:
            return self._client
        client, job = self._mlflow.MlflowClient(os.environ[ADDRESS]), self._job
        if self._path.is_file():
            self._id = read_text(self._path, LONGEST_ID).strip()
            run = client.get_run(self._id)
            self._recorded = round(run.data.metrics.get(NUMBER, 0))
            client.update_run(self._id, "RUNNING")
        else:
            experiment = client.get_experiment_by_name(self._config.project)
            number = experiment.experiment_id if experiment else client.create_experiment(self._config.project)
            tags = {"recipe": job.recipe, "job_type": job.kind, "group": job.group or self._config.group or ""}
            run = client.create_run(number, run_name=job.name, tags={key: text for key, text in tags.items() if text})
            self._id = run.info.run_id
            settings = [
                self._mlflow.entities.Param(_name(key), str(value)[:LONGEST_VALUE])
                for key, value in flattened(job.settings).items()
            ]
            for begin in range(0, len(settings), MOST_PARAMETERS):
                client.log_batch(self._id, params=settings[begin : begin + MOST_PARAMETERS])
            atomic_write_text(self._path, self._id)
        self._client = client
        return client


def _name(name: str) -> str:
    """A name as MLflow takes it."""
    return ODD.sub("_", name)
