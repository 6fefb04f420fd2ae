"""A run in TensorBoard: event files in the run folder.

When a training resumes, TensorBoard hides the events of later steps (`purge_step`), which are recorded again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.common.optional import optional
from asr.common.tables import markdown_table
from asr.tracking.metrics import Row
from asr.tracking.recorder import Recorder, metrics_of
from asr.tracking.wandb_run import Job

EVENTS = "events.out.tfevents.*"


class TensorBoardRun(Recorder):
    """Writes to `tensorboard/` in the run folder.

    Args:
        step: Up to which earlier processes recorded the rows.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path, job: Job, step: int) -> None:
        optional("tensorboard", "tensorboard")
        from torch.utils.tensorboard.writer import SummaryWriter

        place = folder / "tensorboard"
        goes_on = any(place.glob(EVENTS))
        self._recorded = step if goes_on else 0
        self._writer = SummaryWriter(place, purge_step=step + 1 if goes_on else None)
        if not goes_on:
            self.text("config", "".join(f"    {line}\n" for line in json.dumps(job.settings, indent=1).split("\n")), 0)

    def row(self, number: int, row: Row) -> None:
        if row["step"] > self._recorded:
            for name, value in metrics_of(row).items():
                self._writer.add_scalar(name, value, row["step"])
            self._writer.flush()

    def figure(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

    def text(self, name: str, text: str, step: int) -> None:
        self._writer.add_text(name, text, step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        texts = [["" if cell is None else str(cell).replace("\n", " ") for cell in row] for row in rows]
        self.text(name, markdown_table(columns, texts, "l"), step)

    def picture(self, name: str, path: Path, step: int) -> None:
        import matplotlib.image

        self._writer.add_image(name, matplotlib.image.imread(path)[..., :3], step, dataformats="HWC")

    def audio(self, name: str, waveform: npt.NDArray[np.float32], sampling_rate: int, step: int) -> None:
        self._writer.add_audio(name, waveform[None], step, sampling_rate)

    def finish(self, succeeded: bool) -> None:
        self._writer.close()
