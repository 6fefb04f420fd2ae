"""Settings of the training, its optimizer and its schedule, the hardware and debugging."""

from dataclasses import dataclass
from enum import Enum


@dataclass
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter, 2019)."""

    learning_rate: float
    """The highest rate that the schedule reaches."""
    beta1: float
    """Memory of the mean gradient."""
    beta2: float
    """Memory of the squared gradient; lower it for short trainings."""
    weight_decay: float
    """Decay of weight matrices; biases and norms are left out."""


class ScheduleKind(Enum):
    one_cycle = "one_cycle"
    cosine = "cosine"


@dataclass
class ScheduleConfig:
    kind: ScheduleKind
    """one_cycle warms up along a cosine, cosine along a line; both then fall along a cosine."""
    warmup: float
    """Share of the training in which the rate rises."""
    start_ratio: float
    """First rate, as a share of the highest."""
    end_ratio: float
    """Last rate, as a share of the highest."""


@dataclass
class TrainingConfig:
    epochs: int
    """Passes over the training utterances."""
    clip_norm: float
    """Longest gradient; longer ones are shortened to it."""
    ema_decay: float
    """Weight averaging used for evaluation: memory per step; 0 turns it off."""
    early_stopping_epochs: int | None
    """Stop after so many epochs without a better dev WER; null never stops early."""
    max_skipped_steps: int
    """Stop when so many steps had a loss or gradient that is not finite."""
    checkpoint_minutes: float
    """Longest time between checkpoints (minutes); one is written after each epoch too."""
    keep_checkpoints: int
    """How many of the newest checkpoints stay on disk."""
    log_every_steps: int
    """Steps between lines of metrics."""
    deterministic: bool
    """Only deterministic kernels: bit-identical resume on CUDA, slower there; CPUs always are."""
    restart: bool
    """Throw away what the run folder holds and begin anew."""


class Device(Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(Enum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp64 = "fp64"


@dataclass
class HardwareConfig:
    device: Device
    """auto takes a GPU where there is one."""
    precision: Precision
    """Arithmetic of the training; auto takes bf16 where the processor has it. Evaluation is always fp32."""
    threads: int | None
    """CPU threads of each rank; null shares the cores among the ranks of this machine."""
    workers: int
    """Processes of each rank that read and prepare audio; 0 does it in the training process."""


class DebugMode(Enum):
    off = "off"
    one_batch = "one_batch"
    overfit = "overfit"
    profile = "profile"


@dataclass
class DebugConfig:
    mode: DebugMode
    """one_batch tries one step of everything; overfit learns one batch by heart; profile shows where the time goes."""
