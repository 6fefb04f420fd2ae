"""Settings of the group `hardware`."""

from dataclasses import dataclass
from enum import Enum


class Device(Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(Enum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
    fp64 = "fp64"


def arithmetic(precision: Precision, tf32: bool) -> str:
    """Names what a training computes in, for its identity: a resolved precision, or the tf32 that stands for fp32."""
    return "tf32" if precision is Precision.fp32 and tf32 else precision.name


class Kernel(Enum):
    auto = "auto"
    off = "off"


@dataclass
class HardwareConfig:
    device: Device
    """auto takes a GPU where there is one."""
    precision: Precision
    """Arithmetic of the training; auto takes bf16 where the processor has it, and fp16 is for GPUs that lack it.
    Evaluation is always fp32."""
    tf32: bool
    """Let GPUs since Ampere round the factors of float32 products to TF32, in the training alone: faster where
    precision=fp32, and three digits instead of seven. Such a training is another run."""
    compile: bool
    """Compile the convolutions of the model by torch.compile, which takes up to a minute at the start, or go without
    where no compiler works. Equal but for the last digits."""
    threads: int | None
    """CPU threads of each rank; null shares the cores among the ranks of this machine."""
    kernel: Kernel
    """The project's own kernel for recurrent layers and dropout on CPUs: auto compiles it at first use, in some
    seconds, and goes without where there is no C++ compiler; off leaves these layers to PyTorch. Equal but for the last
    digits."""
    workers: int
    """Processes of each rank that read and prepare audio; 0 does it in the training process."""
