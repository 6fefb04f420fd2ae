"""Notices that the run folder of a training was deleted, and saves what can be saved."""

import math
from collections.abc import Callable
from typing import NoReturn

from asr.common.errors import RunError
from asr.tracking.tracker import Tracker
from asr.training.checkpoint import CheckpointWriter
from asr.training.distributed import Ranks
from asr.training.run_folder import RunFolder
from asr.training.train_state import TrainState


class FolderWatch:
    """Knows the folder in which a training begins by its lock file."""

    def __init__(self, folder: RunFolder, ranks: Ranks) -> None:
        self.folder, self.ranks, self._lock = folder, ranks, folder.lock

    @property
    def lost(self) -> bool:
        """Whether rank 0 finds another folder in its place, or none."""
        return self.ranks.first and self.folder.lock != self._lock

    def rescue(
        self,
        state: TrainState,
        writer: CheckpointWriter,
        tracker: Tracker,
        keep: Callable[[], None],
        save: Callable[[], None],
    ) -> NoReturn:
        """Ends a training whose folder was deleted: its checkpoint, metrics and model are written there again.

        All ranks call it together. If another process has made the folder since, nothing is written.

        Args:
            keep: Saves the present weights as the model.
            save: Has a checkpoint of the state written.

        Raises:
            RunError: Says what happened.
        """
        path = self.folder.path
        writer.settle()
        if self.ranks.broadcast(self.folder.lock is not None):
            raise RunError(
                f"{path} was deleted and is in use by another process: this training ends at step {state.step}."
            )
        model = "model"
        if self.ranks.broadcast(not self.folder.model.is_dir()):
            state.best_score, model = math.inf, "present model (the best so far is lost)"
            keep()
        tracker.rewrite()
        save()
        self.ranks.on_rank_0(writer.wait)
        raise RunError(
            f"{path} was deleted during the training: the checkpoint of step {state.step}, the {model} and the metrics "
            "are saved there again. The same command goes on from there; training.restart=true starts over."
        )
