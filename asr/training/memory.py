"""Tries whether the largest batches of a training fit into memory, before the first step is taken."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from asr.batching.loader import Batch, Examples, Share, load
from asr.common.errors import RunError
from asr.settings.root import Config
from asr.training.distributed import Ranks
from asr.training.progression import Unit

FAILURES = ("out of memory", "can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")


def try_batches(
    shares: Mapping[str, Share],
    loss: Callable[[Batch], Tensor],
    model: nn.Module,
    inputs: Examples,
    labels: Sequence[Sequence[int]],
    config: Config,
    ranks: Ranks,
    reserved: int,
    unit: Unit,
) -> None:
    """Runs shares forward and backward and throws their gradients away.

    Args:
        reserved: Memory that lies beside them (numbers for each weight): what the optimizer has not taken yet.
        shares: What is tried, by its description.
        loss: Of a batch, without any exchange between ranks.
        inputs: The training utterances.
        labels: Labels of every utterance.

    Raises:
        RunError: One does not fit, on this rank or on another; names the setting to lower.
    """
    device = next(model.parameters()).device
    for what, share in shares.items():
        fits = _fits(share, loss, model, inputs, labels, reserved)
        if ranks.sum(torch.tensor([float(not fits)], device=device)).item() == 0:
            continue
        size = unit.size.format(inputs.seconds(share.epoch)[share.utterances].max())
        if len(share.utterances) == 1:
            raise RunError(
                f"{what}, {inputs.ids[share.utterances[0]]} of {size}, does not fit into the "
                f"memory of {device}: lower model.hidden or model.layers, or leave it out."
            )
        raise RunError(
            f"{what}, {len(share.utterances)} of up to {size}, does not fit into the memory of "
            f"{device}: lower {unit.device_limit}, now {config.batching.max_device_seconds:g}; the gradients "
            "stay the same."
        )


def is_full(error: Exception) -> bool:
    """Whether an error says that memory is lacking."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in FAILURES)


@contextmanager
def named_if_full(config: Config, unit: Unit) -> Iterator[None]:
    """Says which setting to lower where a step lacks memory that the trial before the first step still had.

    Raises:
        RunError: Memory is lacking.
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


def _fits(
    share: Share,
    loss: Callable[[Batch], Tensor],
    model: nn.Module,
    inputs: Examples,
    labels: Sequence[Sequence[int]],
    reserved: int,
) -> bool:
    try:
        beside = [torch.empty_like(weight) for weight in model.parameters() for _ in range(reserved)]
        (batch,) = load([share], inputs, labels, workers=0, ids=inputs.ids)
        torch.autograd.backward(loss(batch))
        del beside
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
        return False
    finally:
        model.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return True
