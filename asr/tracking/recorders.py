"""Trackers beside Weights & Biases: they get the same rows, texts, tables, audio and figures, and may fail as well."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from asr.settings.tracker import Recorder as Kind
from asr.settings.tracker import TrackerConfig
from asr.tracking.background import Background
from asr.tracking.metrics import Row
from asr.tracking.recorder import Recorder
from asr.tracking.wandb_media import WorstUtterance
from asr.tracking.wandb_run import Job
from asr.tracking.wandb_start import FINISH_SECONDS, one_line

log = logging.getLogger(__name__)

P = ParamSpec("P")


class Recorders:
    """The recorders of `tracker.also`, in a thread of their own.

    Args:
        folder: Of the run.
        step: From which it resumes, 0 for a new one.

    Raises:
        ConfigError: A library is missing, or a variable of the environment.
    """

    def __init__(self, folder: Path, config: TrackerConfig, job: Job, step: int) -> None:
        self._recorders = [_start(kind, folder, config, job, step) for kind in dict.fromkeys(config.also)]
        self._background = Background("trackers") if self._recorders else None
        self._step = step

    def log(self, number: int, row: Row) -> None:
        """Records a row of metrics.jsonl."""
        self._step = row["step"]
        self._each(Recorder.row, number, row)

    def summary(self, values: Mapping[str, float | str]) -> None:
        """Records figures and sentences of the whole run."""
        for name, value in values.items():
            if isinstance(value, str):
                self._each(Recorder.text, name, value, self._step)
            else:
                self._each(Recorder.figure, name, float(value), self._step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Shows a table."""
        self._each(Recorder.table, name, columns, rows, self._step)

    def pictures(self, pictures: Mapping[str, Path]) -> None:
        """Shows image files, by name."""
        for name, path in pictures.items():
            self._each(Recorder.picture, name, path, self._step)

    def worst_utterances(self, utterances: Sequence[WorstUtterance]) -> None:
        """Shows the worst utterances as a table, and plays them."""
        columns = ["id", "speaker", "wer", "cer", "reference", "hypothesis"]
        self.table("worst_utterances", columns, [[getattr(one.score, key) for key in columns] for one in utterances])
        for one in utterances:
            name = f"worst_utterances/{one.score.id}"
            self._each(Recorder.audio, name, one.waveform, one.sampling_rate, self._step)

    def finish(self, succeeded: bool, patience: float = FINISH_SECONDS) -> None:
        """Ends the runs, and waits until everything is recorded, for some seconds at most."""
        if self._background is not None:
            self._each(Recorder.finish, succeeded)
            self._background.close(patience)
            self._background = None

    def _each(self, act: Callable[Concatenate[Recorder, P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        if self._background is not None:
            self._background.submit(lambda: self._carry_out(act, *args, **kwargs))

    def _carry_out(self, act: Callable[Concatenate[Recorder, P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        for recorder in [*self._recorders]:
            try:
                getattr(recorder, act.__name__)(*args, **kwargs)
            except Exception as error:
                self._recorders.remove(recorder)
                log.warning("%s failed and is not used from here on: %s", recorder.name, one_line(error))


def _start(kind: Kind, folder: Path, config: TrackerConfig, job: Job, step: int) -> Recorder:
    if kind is Kind.tensorboard:
        from asr.tracking.tensorboard import TensorBoardRun

        return TensorBoardRun(folder, job, step)
    from asr.tracking.mlflow import MlflowRun

    return MlflowRun(folder, config, job)
