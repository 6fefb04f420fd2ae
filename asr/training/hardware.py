"""What a training runs on: device, arithmetic and threads."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from asr.errors import ConfigError
from asr.training.config import Device, HardwareConfig, Precision


@dataclass(frozen=True)
class Hardware:
    """The device of this rank and the arithmetic of the training, `auto` resolved."""

    device: torch.device
    precision: Precision

    def autocast(self) -> AbstractContextManager[object]:
        """Runs matrix products in bfloat16 where the precision says so."""
        if self.precision is Precision.bf16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights and of the features."""
        return torch.float64 if self.precision is Precision.fp64 else torch.float32


def resolve_hardware(config: HardwareConfig) -> Hardware:
    """Chooses the device and the precision and sets the number of CPU threads.

    Raises:
        ConfigError: A GPU is asked for where there is none.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if config.device is Device.cuda and not torch.cuda.is_available():
        raise ConfigError("hardware.device=cuda, but PyTorch finds no GPU here; use hardware.device=cpu.")
    cuda = config.device is not Device.cpu and torch.cuda.is_available()
    if cuda and local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"Local rank {local_rank} has no GPU of its own: this machine has {torch.cuda.device_count()}; "
            "start as many ranks as there are GPUs, or set hardware.device=cpu."
        )
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(config.threads or max(1, len(os.sched_getaffinity(0)) // ranks_here))
    return Hardware(device, resolve_precision(config, device))


def resolve_precision(config: HardwareConfig, device: torch.device) -> Precision:
    """bf16 where `auto` finds a processor that multiplies in it, else what is configured."""
    if config.precision is not Precision.auto:
        return config.precision
    if device.type == "cuda":
        return Precision.bf16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.fp32
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return Precision.bf16 if fast else Precision.fp32
