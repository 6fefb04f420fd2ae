"""What a training runs on: device, arithmetic and threads."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import torch

from asr.common.errors import ConfigError
from asr.model.kernel import library
from asr.settings.hardware import Device, HardwareConfig, Kernel, Precision
from asr.training.launch import Launch, find_launch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""
LARGEST_THRESHOLD = 32 << 20
"""More is refused as a threshold of mmap."""
NEVER = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Makes this process keep what it frees, for the next step; where the C library is not glibc, nothing changes.

    By itself glibc gives large blocks back to the system, which hands them out again page by page, each filled with
    zeros: thousands of faults in every step of a training.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD)


def give_back_freed_memory() -> None:
    """Gives back what was freed, before work of another kind: its blocks would find no room among those that were kept.

    Without it a process that trains and decodes by turns takes a little more memory in each epoch.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


NARROW = {Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}
"""The types of products that are narrower than the weights."""


@dataclass(frozen=True)
class Hardware:
    """The device of this rank and the arithmetic of the training, `auto` resolved."""

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
        """Inside, float32 is whole: features and evaluation are never computed in TF32."""
        if self.tf32:
            allow_tf32(False)
        try:
            yield
        finally:
            if self.tf32:
                allow_tf32(True)

    def memory(self) -> dict[str, float]:
        """The most memory so far: of the GPU's tensors, on a CPU of this process (MB)."""
        return {"system/peak_memory_mb": peak_bytes(self.device) / 1e6}

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights and of the features."""
        return torch.float64 if self.precision is Precision.fp64 else torch.float32


def resolve_hardware(config: HardwareConfig, trains: bool = True) -> Hardware:
    """Chooses the device and the precision, sets the number of CPU threads and switches the kernel and TF32 on or off.

    Args:
        trains: Whether a training follows, and not only evaluation, which is always in float32.

    Raises:
        ConfigError: A GPU is asked for, or is needed for what is asked for, where there is none.
    """
    launch = find_launch()
    if config.device is Device.cuda and not torch.cuda.is_available():
        raise ConfigError("hardware.device=cuda, but PyTorch finds no GPU here; use hardware.device=cpu.")
    cuda = config.device is not Device.cpu and torch.cuda.is_available()
    # Slurm may show each process its own GPU alone, by --gpus-per-task; it is number 0 then.
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
    """Refuses settings of a training that need a GPU.

    Raises:
        ConfigError: There is one.
    """
    if config.precision is Precision.fp16:
        raise ConfigError(
            "hardware.precision=fp16 needs a GPU, and this training would run on a CPU: use bf16, fp32 or auto."
        )
    if config.tf32:
        raise ConfigError("hardware.tf32=true needs a GPU, and this training would run on a CPU: set it to false.")


def allow_tf32(allowed: bool) -> None:
    """Lets GPUs round the factors of float32 products to TF32, or not. By itself PyTorch does so in cuDNN alone."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _threads(launch: Launch) -> int:
    """Slurm says how many cores each process has; else the processes of this node share its cores."""
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
    """Only deterministic kernels, or any; to be called before CUDA starts, which is when it reads the environment."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if wanted != torch.are_deterministic_algorithms_enabled():
        # Only where it changes something: the call imports PyTorch's compiler, which takes seconds.
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
    """The most memory that this process has taken: what PyTorch holds of a GPU, else resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count the process that started this one, if that was larger.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much a container may take, in its second and first version of control groups."""


def device_memory(device: torch.device) -> int:
    """Bytes of a GPU, or of the machine as far as this process may use it."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(Path, LIMITS):
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)
