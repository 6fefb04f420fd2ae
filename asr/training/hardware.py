"""Hardware of a training: device, precision, threads and memory."""

import ctypes
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import torch

from asr.common.errors import ConfigError
from asr.common.processes import machine_memory
from asr.model.kernel import library
from asr.scoring.provenance import processor
from asr.settings.hardware import Device, HardwareConfig, Kernel, Precision
from asr.training.launch import Launch, find_launch

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""
LARGEST_THRESHOLD = 32 << 20
"""More is refused as a threshold of mmap."""
NEVER = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Makes this process keep freed memory for the next step; without glibc nothing changes.

    By default glibc returns large blocks to the system, which provides them again page by page, each filled with zeros:
    thousands of page faults in every step.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD)


def give_back_freed_memory() -> None:
    """Returns freed memory to the system before work of another kind, whose blocks would not fit into the kept ones.

    Without it a process that alternates training and decoding takes a little more memory in each epoch.
    """
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)


NARROW = {Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}
"""The types of products that are narrower than the weights."""


@dataclass(frozen=True)
class Hardware:
    """The device of this rank and the precision of the training, with `auto` resolved."""

    device: torch.device
    precision: Precision
    tf32: bool = False
    """Whether float32 products of the training are rounded to TF32; never on CPUs."""

    def autocast(self) -> AbstractContextManager[object]:
        """Runs matrix products in bfloat16 or float16 where the precision says so."""
        narrow = NARROW.get(self.precision)
        return nullcontext() if narrow is None else torch.autocast(self.device.type, narrow)

    @contextmanager
    def in_float32(self) -> Iterator[None]:
        """Inside, float32 products are not rounded to TF32, as for features and evaluation."""
        if self.tf32:
            allow_tf32(False)
        try:
            yield
        finally:
            if self.tf32:
                allow_tf32(True)

    def memory(self) -> dict[str, float]:
        """Peak memory so far (MB): what PyTorch holds of the GPU, or of this process on a CPU."""
        return {"system/peak_memory_mb": peak_bytes(self.device) / 1e6}

    def conditions(self) -> dict[str, int | str]:
        """What the last digits of a training depend on beside its settings and the number of ranks."""
        if self.device.type == "cuda":
            return {"torch": str(torch.__version__), "processor": torch.cuda.get_device_name(self.device)}
        return {"torch": str(torch.__version__), "processor": processor(), "threads": torch.get_num_threads()}

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights and of the features."""
        return torch.float64 if self.precision is Precision.fp64 else torch.float32


def say_what_changed(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Logs which conditions of a training are not those of its checkpoint; an old one has only the number of ranks."""
    before = {"ranks": int(saved["ranks"]), **saved.get("conditions", {})}
    changed = [
        f"{name}={now[name]} (until here {before[name]})"
        for name in before
        if now.get(name) not in (None, before[name])
    ]
    if changed:
        log.info(
            "The run goes on with %s: the batches are the same, but figures may differ in their last digits from those "
            "of a training that was not interrupted.",
            ", ".join(changed),
        )


def resolve_hardware(config: HardwareConfig, trains: bool = True) -> Hardware:
    """Chooses the device and the precision, sets the number of CPU threads and switches the kernel and TF32 on or off.

    Args:
        trains: Whether a training follows; evaluation is always in float32.

    Raises:
        ConfigError: The settings need a GPU, and there is none.
    """
    launch = find_launch()
    if config.device is Device.cuda and not torch.cuda.is_available():
        raise ConfigError("hardware.device=cuda, but PyTorch finds no GPU here; use hardware.device=cpu.")
    cuda = config.device is not Device.cpu and torch.cuda.is_available()
    # With --gpus-per-task Slurm shows each process only its own GPU, as number 0.
    number = 0 if launch.launcher == "srun" and torch.cuda.device_count() == 1 else launch.local_rank
    if cuda and number >= torch.cuda.device_count():
        raise ConfigError(
            f"Local rank {number} has no GPU of its own: this machine has {torch.cuda.device_count()}; "
            "start as many ranks as there are GPUs, or set hardware.device=cpu."
        )
    device = torch.device("cuda", number) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    torch.set_num_threads(config.threads or _threads(launch))
    library.enable(config.kernel is Kernel.auto)
    if trains and not cuda:
        refuse_on_cpu(config)
        keep_freed_memory()
    tf32 = cuda and trains and config.tf32
    if cuda:
        allow_tf32(tf32)
    return Hardware(device, resolve_precision(config, device), tf32)


def refuse_on_cpu(config: HardwareConfig) -> None:
    """Raises ConfigError for settings of a training that need a GPU."""
    if config.precision is Precision.fp16:
        raise ConfigError(
            "hardware.precision=fp16 needs a GPU, and this training would run on a CPU: use bf16, fp32 or auto."
        )
    if config.tf32:
        raise ConfigError("hardware.tf32=true needs a GPU, and this training would run on a CPU: set it to false.")


def allow_tf32(allowed: bool) -> None:
    """Lets GPUs round the factors of float32 products to TF32, or not. By default PyTorch does so only in cuDNN."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _threads(launch: Launch) -> int:
    """The cores of this process, as Slurm says; otherwise the processes of this node share its cores."""
    if launch.launcher == "srun" and "SLURM_CPUS_PER_TASK" in os.environ:
        return int(os.environ["SLURM_CPUS_PER_TASK"])
    return max(1, len(os.sched_getaffinity(0)) // launch.local_size)


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, PyTorch computes in this thread alone: quicker where each operation is small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def set_deterministic(wanted: bool) -> None:
    """Allows only deterministic kernels, or any; call it before CUDA starts, which reads the environment then."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if wanted != torch.are_deterministic_algorithms_enabled():
        # Only where it changes something: the call imports PyTorch's compiler, which takes a second.
        torch.use_deterministic_algorithms(wanted)


def resolve_precision(config: HardwareConfig, device: torch.device) -> Precision:
    """bf16 where `auto` finds a processor that multiplies in it, else what is configured."""
    if config.precision is not Precision.auto:
        return config.precision
    if device.type == "cuda":
        return Precision.bf16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.fp32
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return Precision.bf16 if fast else Precision.fp32


def peak_bytes(device: torch.device) -> int:
    """Peak memory of this process: what PyTorch holds of a GPU, else resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the parent process, if that was larger.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_memory(device: torch.device) -> int:
    """Memory of a GPU, or what this process may use of the machine (bytes)."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine_memory()
