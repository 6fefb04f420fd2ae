"""The ranks that train together, as torchrun starts them."""

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from asr.errors import UserError

T = TypeVar("T")

PATIENCE = timedelta(hours=1)
"""How long a rank waits for the others: rank 0 may prepare a corpus meanwhile."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; alone it is rank 0 of 1."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this rank writes files and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Adds a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def only_first(self, action: Callable[[], T]) -> T:
        """What an action gives that rank 0 alone carries out while the others wait.

        Raises:
            UserError: The action did, on every rank, so that none waits in vain.
        """
        outcome: T | UserError | None = None
        if self.first:
            try:
                outcome = action()
            except UserError as error:
                outcome = error
        received = self.from_first(outcome)
        if isinstance(received, UserError):
            raise received
        return cast(T, received)

    def gather(self, items: list[T]) -> list[T]:
        """The items of all ranks, rank by rank, on every rank."""
        if self.size == 1:
            return items
        lists: list[list[T] | None] = [None] * self.size
        dist.all_gather_object(lists, items)
        return [item for part in lists for item in part or []]

    def from_first(self, value: T) -> T:
        """The value that rank 0 has."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        received: T = box[0]
        return received


def join_ranks(device: torch.device) -> Ranks:
    """Joins the ranks that torchrun started, over NCCL on GPUs and gloo on CPUs, until the process ends.

    Called again, as for the stages of a run or the jobs of a sweep, it gives the same ranks.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks(0, 1)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)
    return Ranks(dist.get_rank(), dist.get_world_size())
