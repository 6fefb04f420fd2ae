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
    """Names the arithmetic of a training, for its identity: a resolved precision, or tf32 in place of fp32."""
    return "tf32" if precision is Precision.fp32 and tf32 else precision.name


class Kernel(Enum):
    auto = "auto"
    off = "off"


@dataclass
class HardwareConfig:
    device: Device
    """auto takes a GPU where there is one."""
    precision: Precision
    """Arithmetic of the training; auto takes bf16 where the processor supports it; fp16 is for GPUs that do not.
    Evaluation is always fp32."""
    tf32: bool
    """Let GPUs since Ampere round the factors of float32 products to TF32, in training only: faster with
    precision=fp32, with three digits instead of seven. Such a training is another run."""
    compile: bool
    """Compile the convolutions of the model with torch.compile, where a compiler works; takes up to a minute at the
    start. Results differ in the last digits only."""
    threads: int | None
    """CPU threads of each rank; null divides the cores among the ranks of this machine."""
    kernel: Kernel
    """The project's own kernel for recurrent layers and dropout on CPUs: auto compiles it at first use, in some
    seconds, if there is a C++ compiler; off leaves these layers to PyTorch. Results differ in the last digits only."""
    workers: int
    """Worker processes of each rank that read and prepare audio; 0 does it in the training process."""
