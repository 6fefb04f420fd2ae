"""Settings of the training, its optimizer and its schedule, the hardware, the cluster and debugging."""

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
    init_from: str | None
    """Fine-tunes a trained model: its folder or that of its run. Its weights and the statistics of its features are
    taken over, and its architecture must be the same; where the tokens differ, the CTC heads begin anew."""
    epochs: int
    """Passes over the training utterances."""
    clip_norm: float
    """Longest gradient; longer ones are shortened to it."""
    intermediate_weight: float
    """Share of the loss that the intermediate head has where model.intermediate_layer asks for one."""
    ema_decay: float
    """Weight averaging used for evaluation: memory per step; 0 turns it off."""
    early_stopping_epochs: int | None
    """Stop after so many epochs without a better dev WER; null never stops early."""
    max_skipped_steps: int
    """Stop when so many steps had a loss or gradient that is not finite."""
    max_lost_utterances: int
    """Stop when the audio of more utterances than this vanished or was damaged while training; 0 stops at the first."""
    checkpoint_minutes: float
    """Longest time between checkpoints (minutes); one is written after each epoch too."""
    keep_checkpoints: int
    """How many of the newest checkpoints stay on disk."""
    log_every_steps: int
    """Steps between lines of metrics."""
    with_dev: bool
    """Train on dev too, with what was tuned without it: the last model is kept, and test alone is evaluated."""
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


@dataclass
class ClusterConfig:
    """Where a training runs, and how long its ranks wait for one another. None of it changes the weights."""

    nodes: int
    """Nodes of the Slurm job."""
    gpus_per_node: int
    """GPUs that each node gives to the job; 0 trains on CPUs."""
    ranks_per_node: int
    """Processes on each node: one for each GPU."""
    cpus_per_rank: int
    """Cores of each process, `hardware.workers` included."""
    memory_gb: int | None
    """Memory of each node (GB); null is the partition's default."""
    time_minutes: int
    """Time limit of the job; the training is saved and requeued before it is reached."""
    warning_seconds: int
    """How long before the limit Slurm warns, so that the step can be finished and saved."""
    max_timeouts: int
    """How often a job that reached its limit is requeued."""
    partition: str | None
    """Partition of the job; null is the cluster's default."""
    account: str | None
    """Account of the job; null is the user's default."""
    constraint: str | None
    """Features that the nodes must have, as in a100&ib."""
    array_parallelism: int
    """Jobs of a sweep that run at the same time."""
    sbatch: dict[str, str]
    """Further lines of the batch script, as in {qos: high, mail-type: END}."""
    setup: str
    """Shell commands that the batch script runs before the training, as in module load cuda."""
    join_minutes: float
    """How long a rank waits at the start for the others."""
    watchdog_minutes: float
    """When no step ended for so long, the log names the stage and shows the stacks of every rank."""


class DebugMode(Enum):
    off = "off"
    one_batch = "one_batch"
    overfit = "overfit"
    profile = "profile"


@dataclass
class DebugConfig:
    mode: DebugMode
    """one_batch tries one step of everything; overfit learns one batch by heart; profile shows where the time goes."""
