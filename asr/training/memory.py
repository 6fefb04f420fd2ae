"""Tries whether the largest batches of a training fit into memory, before the first step."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from asr.batching.loader import Batch, MicroBatch, load
from asr.common.errors import RunError
from asr.settings.root import Config
from asr.training.distributed import Ranks
from asr.training.task import Task, Unit

FAILURES = ("out of memory", "can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")


def try_batches(
    micro_batches: Mapping[str, MicroBatch],
    loss: Callable[[Batch], Tensor],
    task: Task,
    config: Config,
    ranks: Ranks,
    reserved: int,
) -> None:
    """Runs micro-batches forward and backward and throws their gradients away.

    Args:
        micro_batches: What is tried, by its description.
        loss: Of a batch, without all-reduce.
        reserved: Numbers for each weight that the optimizer will allocate with its first step.

    Raises:
        RunError: One does not fit, on this rank or on another; names the setting to lower.
    """
    device = next(task.model.parameters()).device
    examples, unit = task.train, task.unit
    for description, micro_batch in micro_batches.items():
        fits = _fits(micro_batch, loss, task, reserved)
        if ranks.sum(torch.tensor([float(not fits)], device=device)).item() == 0:
            continue
        numbers = micro_batch.utterances
        size = unit.size.format(examples.seconds(micro_batch.epoch)[numbers].max())
        if len(numbers) == 1:
            raise RunError(
                f"{description}, {examples.ids[numbers[0]]} of {size}, does not fit into the "
                f"memory of {device}: lower model.hidden or model.layers, or leave it out."
            )
        raise RunError(
            f"{description}, {len(numbers)} of up to {size}, does not fit into the memory of "
            f"{device}: lower {unit.device_limit}, now {config.batching.max_device_seconds:g}; the gradients "
            "stay the same."
        )


def is_full(error: Exception) -> bool:
    """Whether an error says that memory is exhausted."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in FAILURES)


@contextmanager
def named_if_full(config: Config, unit: Unit) -> Iterator[None]:
    """Names the setting to lower where a step runs out of memory although the trial before the first step did not.

    Raises:
        RunError: Memory is exhausted.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
        raise RunError(
            "Memory ran out in the middle of the training: make room on the device and give the same command again, or "
            f"begin another run with less than {unit.device_limit}={config.batching.max_device_seconds:g}."
        ) from None


def _fits(micro_batch: MicroBatch, loss: Callable[[Batch], Tensor], task: Task, reserved: int) -> bool:
    try:
        beside = [torch.empty_like(weight) for weight in task.model.parameters() for _ in range(reserved)]
        (batch,) = load([micro_batch], task.train, task.labels, workers=0, ids=task.train.ids)
        torch.autograd.backward(loss(batch))
        del beside
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
        return False
    finally:
        task.model.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return True
