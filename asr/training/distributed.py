"""The ranks that train together, as torchrun or Slurm starts them."""

import atexit
import functools
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
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
"""How long a rank waits for what only rank 0 does, such as preparing a corpus."""
LOST = re.compile(r"\bgloo\b|\bNCCL\b|Connection (closed|reset) by peer|Broken pipe", re.IGNORECASE)
"""In PyTorch's errors of an all-reduce whose other ranks are gone or do not answer."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; a single process is rank 0 of 1."""

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
        """Runs an action on rank 0 while the others wait, and gives its result to all.

        Raises:
            UserError: Raised by the action; then on every rank.
            RunError: On the other ranks, where the action raised any other error.
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
        RunError: Not all ranks joined, or the port is taken.
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


@contextmanager
def lost_ranks_named(ranks: Ranks) -> Iterator[None]:
    """Inside, another rank that is gone, or does not answer for an hour, ends this one with a sentence.

    Raises:
        RunError: Another rank is lost.
    """
    try:
        yield
    except RuntimeError as error:
        if ranks.size == 1 or not LOST.search(str(error)):
            raise
        reason = str(error).strip().splitlines()[0]
        raise RunError(
            f"Rank {ranks.rank} of {ranks.size} has lost another ({reason}): that one ended, or did not answer for "
            f"{PATIENCE.total_seconds() / 60:g} minutes, and its own output says why. The same command goes on from "
            "the last checkpoint."
        ) from None


def data_parallel(model: Model, ranks: Ranks) -> Model | DistributedDataParallel:
    """Wraps a model so that each backward pass averages its gradients over the ranks.

    Buffers are not broadcast: they never change while training, and every rank has the same.
    """
    if ranks.size == 1:
        return model
    names = [name for name, _ in model.named_buffers()]
    ignore = DistributedDataParallel._set_params_and_buffers_to_ignore_for_model
    ignore(model, names)  # type: ignore[no-untyped-call]  # PyTorch gives it no types
    return DistributedDataParallel(model)


def no_sync(model: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients of a model from `data_parallel` are accumulated on this rank only."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@functools.cache
def _patient_group() -> "dist.ProcessGroup":
    return cast("dist.ProcessGroup", dist.new_group(backend="gloo", timeout=LONG_PATIENCE))


def _meet(launch: Launch, patience: timedelta) -> TCPStore:
    place = f"{launch.address}:{launch.port}"
    with native_errors_held():
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
def native_errors_held() -> Iterator[None]:
    """Holds back what native code writes to stderr, and drops it where a RunError says the same in one sentence.

    For a store that nobody serves PyTorch prints two stacks of C++ frames.
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


@dataclass(frozen=True, kw_only=True)
class RankStatus:
    """What the host of a rank knows of a step; of a step's outcome, what holds for any rank."""

    unreadable_labels: int = 0
    """Labels of the utterances that could not be read, summed over the ranks."""
    checkpoint_due: bool = False
    checkpoint_failed: bool = False
    """Whether a checkpoint could not be written."""
    folder_lost: bool = False
    """Whether the run folder is not the one in which the training began."""
    signal: int = 0
    """The signal that asks the training to end; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class StepOutcome(RankStatus):
    """What all ranks know of a step."""

    loss: float
    """Summed over the ranks."""
    gradient_norm: float
    """Before clipping; the same on all ranks."""
    finite: bool
    """Whether the loss and the gradients of all ranks are."""


@dataclass(frozen=True, kw_only=True)
class StepResult(StepOutcome):
    """What became of an optimizer step, the same on all ranks.

    The loss is the mean over the labels of the global batch, the gradient norm that before clipping; both are without
    the utterances that could not be read. A step that is not finite is skipped: the weights stay as they were.
    """

    learning_rate: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What is logged of the step; empty where `training.log_every_steps` leaves it out."""


def all_reduce_outcome(ranks: Ranks, loss: Tensor, gradient_norm: Tensor, status: RankStatus) -> StepOutcome:
    """Combines what each rank knows of a step; all ranks call it together.

    Nothing before it waits for the device: the status is copied there, and one tensor is copied back.

    Args:
        loss: This rank's part of it, float64 ().
        gradient_norm: Of the all-reduced gradient, ().
    """
    flags = [
        status.checkpoint_due,
        status.checkpoint_failed,
        status.folder_lost,
        *(status.signal == number for number in SIGNALS),
    ]
    host = torch.tensor([status.unreadable_labels, *flags], dtype=torch.float64)
    broken = ~torch.isfinite(gradient_norm)
    values = torch.cat([loss.reshape(1), broken.double().reshape(1), host.to(loss.device, non_blocking=True)])
    summed = torch.cat([ranks.sum(values), gradient_norm.double().reshape(1)])
    total, not_finite, unreadable, any_due, any_failed, any_lost, *signals, norm = summed.tolist()
    # Of several signals the last, since a job that Slurm warned is to be requeued.
    received = [int(number) for number, count in zip(SIGNALS, signals, strict=True) if count]
    return StepOutcome(
        loss=total,
        gradient_norm=norm,
        finite=math.isfinite(total) and not not_finite,
        unreadable_labels=int(unreadable),
        checkpoint_due=bool(any_due),
        checkpoint_failed=bool(any_failed),
        folder_lost=bool(any_lost),
        signal=received[-1] if received else 0,
    )
