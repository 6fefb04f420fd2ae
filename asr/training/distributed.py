"""The ranks that train together, as torchrun or Slurm starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


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

    def wait(self) -> None:
        """Waits until all ranks are here."""
        if self.size > 1:
            dist.barrier()

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


@contextmanager
def join_ranks(device: torch.device) -> Iterator[Ranks]:
    """Joins the ranks that the launcher started, over NCCL on GPUs and gloo on CPUs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(0, 1)
        return
    if dist.is_initialized():
        yield Ranks(dist.get_rank(), size)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
