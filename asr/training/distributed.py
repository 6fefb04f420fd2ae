"""The ranks that train together, as torchrun or Slurm starts them."""

import atexit
import functools
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # it is there, but not in __all__
from torch.nn.parallel import DistributedDataParallel

from asr.common.errors import RunError, UserError
from asr.training.interruption import SIGNALS
from asr.training.launch import Launch, find_launch

T = TypeVar("T")
Model = TypeVar("Model", bound=nn.Module)

PATIENCE = timedelta(hours=1)
"""How long a rank waits for the gradients of the others."""
LONG_PATIENCE = timedelta(days=7)
"""How long a rank waits for what rank 0 does alone, as preparing a corpus."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; alone it is rank 0 of 1."""

    rank: int
    size: int
    patient: "dist.ProcessGroup | None" = None
    """The same ranks over gloo, for what rank 0 does while the others wait."""

    @property
    def first(self) -> bool:
        """Whether this rank writes files and reports."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Adds a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def on_rank_0(self, action: Callable[[], T]) -> T:
        """What an action gives that rank 0 alone carries out while the others wait.

        Raises:
            UserError: The action did, on every rank, so that none waits in vain.
            RunError: On the other ranks, where the action failed in any other way.
        """
        outcome: T | UserError | None = None
        failure: Exception | None = None
        if self.first:
            try:
                outcome = action()
            except Exception as error:
                failure = error
                outcome = error if isinstance(error, UserError) else RunError("Rank 0 failed: its output says why.")
        received = self.broadcast(outcome)
        if failure is not None:
            raise failure
        if isinstance(received, UserError):
            raise received
        return cast(T, received)

    def gather(self, items: list[T]) -> list[T]:
        """The items of all ranks, rank by rank, on every rank."""
        if self.size == 1:
            return items
        lists: list[list[T] | None] = [None] * self.size
        dist.all_gather_object(lists, items, group=self.patient)
        return [item for part in lists for item in part or []]

    def broadcast(self, value: T) -> T:
        """The value that rank 0 has."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0, group=self.patient)
        received: T = box[0]
        return received


def join_ranks(device: torch.device, join_minutes: float) -> Ranks:
    """Joins the ranks that were started together, over NCCL on GPUs and gloo on CPUs, until the process ends.

    Called again, as for the stages of a run or the jobs of a sweep, it gives the same ranks.

    Args:
        join_minutes: How long it waits for the others.

    Raises:
        RunError: Not all ranks came, or the port is taken.
    """
    launch = find_launch()
    if launch.size == 1:
        return Ranks(0, 1)
    if not dist.is_initialized():
        backend = "nccl" if device.type == "cuda" else "gloo"
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            dist.init_process_group(backend, timeout=PATIENCE)  # torchrun's agents have met already
        else:
            store = _meet(launch, timedelta(minutes=join_minutes))
            dist.init_process_group(backend, store=store, rank=launch.rank, world_size=launch.size, timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)
    return Ranks(dist.get_rank(), dist.get_world_size(), _patient_group())


def share_gradients(model: Model, ranks: Ranks) -> Model | DistributedDataParallel:
    """The model, made to add up its gradients over the ranks in each backward pass, divided by their number.

    Buffers are not exchanged: they never change while training, and every rank has the same.
    """
    if ranks.size == 1:
        return model
    names = [name for name, _ in model.named_buffers()]
    ignore = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(model, names)  # type: ignore[no-untyped-call]  # PyTorch gives it no types
    return DistributedDataParallel(model)


def no_sync(model: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients of a model from `share_gradients` are only added up on this rank."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@functools.cache
def _patient_group() -> "dist.ProcessGroup":
    return cast("dist.ProcessGroup", dist.new_group(backend="gloo", timeout=LONG_PATIENCE))


def _meet(launch: Launch, patience: timedelta) -> TCPStore:
    place = f"{launch.address}:{launch.port}"
    with _native_errors_held():
        try:
            return TCPStore(launch.address, launch.port, launch.size, launch.rank == 0, timeout=patience)
        except dist.DistError as error:
            if "EADDRINUSE" in str(error) or "address already in use" in str(error):
                raise RunError(
                    f"Port {launch.port} of {launch.address} is taken: set MASTER_PORT to another."
                ) from None
            joined = re.search(r"(\d+)/\d+ clients joined", str(error))
            came = f"{joined[1]} of {launch.size} ranks" if joined else f"not all {launch.size} ranks"
            raise RunError(
                f"Rank {launch.rank} waited {patience.total_seconds() / 60:g} minutes at {place}, and {came} came: "
                "look into the logs of the others; cluster.join_minutes lets them take longer."
            ) from None


@contextmanager
def _native_errors_held() -> Iterator[None]:
    """Holds back what native code writes to stderr, and drops it where a RunError says the same in one sentence.

    A store that nobody serves is worth two stacks of C++ frames to PyTorch.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        said = False
        try:
            yield
        except RunError:
            said = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            while not said and (part := held.read(1 << 16)):
                os.write(2, part)


@dataclass(frozen=True)
class Agreement:
    """What is known of a step on all ranks alike."""

    loss: float
    """Summed over the ranks."""
    finite: bool
    """Whether the loss and the gradients of all ranks are."""
    lost_labels: int
    """Labels of the utterances that could not be read."""
    due: bool
    """Whether a checkpoint is due on any rank."""
    failed: bool
    """Whether a checkpoint could not be written on any rank."""
    signal: int
    """The signal that any rank was sent; 0 for none."""
    norm: float
    """Length of the gradient, which is the same on all ranks, before clipping."""


def agree(
    ranks: Ranks, loss: Tensor, norm: Tensor, lost_labels: int, due: bool, failed: bool, signal: int
) -> Agreement:
    """Puts together what each rank knows of a step; called by all of them.

    Nothing before it waits for the device: what the host knows goes there, and one tensor comes back.

    Args:
        loss: This rank's part of it, float64 ().
        norm: Length of the summed gradient, ().
    """
    told = torch.tensor([lost_labels, due, failed, *(signal == number for number in SIGNALS)], dtype=torch.float64)
    broken = ~torch.isfinite(norm)
    told = torch.cat([loss.reshape(1), broken.double().reshape(1), told.to(loss.device, non_blocking=True)])
    summed = torch.cat([ranks.sum(told), norm.double().reshape(1)])
    total, not_finite, lost, any_due, any_failed, *heard, length = summed.tolist()
    # Of several the last, since a job that Slurm warned is to be requeued.
    signals = [int(number) for number, count in zip(SIGNALS, heard, strict=True) if count]
    return Agreement(
        loss=total,
        finite=math.isfinite(total) and not not_finite,
        lost_labels=int(lost),
        due=bool(any_due),
        failed=bool(any_failed),
        signal=signals[-1] if signals else 0,
        norm=length,
    )
