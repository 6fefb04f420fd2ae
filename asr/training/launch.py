"""Where this process stands among those that torchrun or Slurm's srun started together.

Imports no torch: the command line uses it too, before anything runs.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from asr.common.errors import ConfigError

PORTS = range(20000, 32768)
"""The port of a job is drawn from these by its number, so that jobs on a node rarely collide."""


@dataclass(frozen=True)
class Launch:
    """One process among those that train together."""

    rank: int = 0
    size: int = 1
    """Processes over all nodes."""
    local_rank: int = 0
    """Number of the process on its node."""
    local_size: int = 1
    """Processes on this node."""
    address: str = "127.0.0.1"
    """The node of rank 0."""
    port: int = 29500
    """Where rank 0 waits for the others."""
    launcher: str | None = None
    """What started the processes: torchrun, srun or neither."""


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """Reads torchrun's variables, else those of the Slurm step; without either this is a single process.

    The variables of the *step* count, not those of the job: in a shell of salloc, or in a batch script, a command that
    srun did not start is a single process. MASTER_ADDR and MASTER_PORT take precedence over Slurm's variables.

    Raises:
        ConfigError: A variable is missing or is not a number.
    """
    try:
        return _read(environment)
    except (ValueError, KeyError) as error:
        raise ConfigError(
            f"The variables of torchrun or Slurm cannot be read ({error}): unset or correct them."
        ) from None


def _read(environment: Mapping[str, str]) -> Launch:
    if "WORLD_SIZE" in environment and "RANK" in environment:
        return Launch(
            rank=int(environment["RANK"]),
            size=int(environment["WORLD_SIZE"]),
            local_rank=int(environment.get("LOCAL_RANK", "0")),
            local_size=int(environment.get("LOCAL_WORLD_SIZE", "1")),
            address=environment.get("MASTER_ADDR", "127.0.0.1"),
            port=int(environment.get("MASTER_PORT", "29500")),
            launcher="torchrun",
        )
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in environment:
        # Each restart of a job draws another port, so that its ranks do not meet those that are still ending.
        restart = int(environment.get("SLURM_RESTART_COUNT", "0"))
        draw = 7 * int(environment["SLURM_JOB_ID"]) + 101 * restart + int(environment.get("SLURM_STEP_ID", "0"))
        return Launch(
            rank=int(environment["SLURM_PROCID"]),
            size=int(environment["SLURM_STEP_NUM_TASKS"]),
            local_rank=int(environment["SLURM_LOCALID"]),
            local_size=_tasks_on_node(environment["SLURM_STEP_TASKS_PER_NODE"], int(environment["SLURM_NODEID"])),
            address=environment.get("MASTER_ADDR") or _first_host(environment["SLURM_STEP_NODELIST"]),
            port=int(environment.get("MASTER_PORT") or PORTS[draw % len(PORTS)]),
            launcher="srun",
        )
    return Launch()


def started_again(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether Slurm or torchrun has started this command before: after a requeue, or when a rank died."""
    counts = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")
    return any(int(environment.get(count, "0")) > 0 for count in counts)


def rejoins(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun starts all nodes again, without counting a restart, when one of them comes back."""
    return int(environment.get("GROUP_WORLD_SIZE", "1")) > 1


def _first_host(nodes: str) -> str:
    """The first host of a list such as `gpu[03-05,09],cpu1`."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    return re.sub(r"\[([^,\-\]]+)[^\]]*\]", r"\1", first[0]) if first else nodes


def _tasks_on_node(counts: str, node: int) -> int:
    """The tasks of a node, by its number, from a list such as `2(x3),1`."""
    expanded: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts):
        expanded += [int(count)] * int(times or 1)
    return expanded[node]
