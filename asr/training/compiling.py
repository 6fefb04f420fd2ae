"""torch.compile for the convolutional front of a model, where `hardware.compile` asks for it."""

import logging
import time

import torch

from asr.model.acoustic import AcousticModel
from asr.training.hardware import Hardware

log = logging.getLogger(__name__)


def compile_front(model: AcousticModel, dim: int, hardware: Hardware) -> bool:
    """Compiles the convolutions of a model in place, for batches of any size; says whether that worked.

    The recurrent layers have kernels of their own, which a compiler would not see into. PyTorch compiles at the first
    call; so a short batch goes through, forward and backward, and where that fails the model stays as it is.

    Args:
        dim: Features in a frame.
    """
    front, began = model.subsampling, time.monotonic()
    front.compile(dynamic=True)
    try:
        features = torch.zeros(2, 64, dim, device=hardware.device, dtype=hardware.dtype)
        with hardware.autocast():
            outputs, _ = front(features, torch.full((2,), 64))
        torch.autograd.backward(outputs.float().sum())
    except Exception as error:  # whatever compilers and drivers come up with
        front._compiled_call_impl = None
        cause = getattr(error, "inner_exception", error)  # of what PyTorch packs the errors of compilers into
        reason = str(cause).strip().splitlines() or [type(cause).__name__]
        log.warning("hardware.compile=true, but no compiler works here; going on without (%s).", reason[0])
        return False
    finally:
        model.zero_grad()
    log.info("The convolutions are compiled, which took %.0f s.", time.monotonic() - began)
    return True
