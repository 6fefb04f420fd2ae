"""Settings of the group `cluster`."""

from dataclasses import dataclass


@dataclass
class ClusterConfig:
    """Where a training runs, and how long its ranks wait for each other. None of it changes the weights."""

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
    """Time limit of the job (min); the training is saved and requeued before it is reached."""
    warning_seconds: int
    """How long before the limit Slurm warns (s), so that the step can be finished and saved."""
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
    """How long a rank waits for the others at the start (min)."""
    watchdog_minutes: float
    """When no step has finished for this long (min), the log names the stage and shows the stacks of every rank."""
