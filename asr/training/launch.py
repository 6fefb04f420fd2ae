"""Where this process stands among those that torchrun or Slurm's srun started together.

Imports no torch: the command line asks it too, before anything runs.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from asr.common.errors import ConfigError

PORTS = range(20000, 32768)
"""From which jobs draw a port by their number, so that two on one node rarely meet; Linux gives out those above."""


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
    """Who started the processes: torchrun, srun or nobody."""


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """Reads torchrun's variables, else those of the Slurm step; without either the process is alone.

    The variables of the *step* count, not those of the job: in a shell that salloc opened, or in a batch script, a
    command that no srun started is alone. MASTER_ADDR and MASTER_PORT win over what follows from Slurm's variables.

    Raises:
        ConfigError: A variable is missing or no number.
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
        # Every restart of a job has a number of its own, lest its ranks meet those that are still dying.
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
    """Whether Slurm or torchrun has started this same command before: after a requeue, or when a rank had died."""
    counts = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")
    return any(int(environment.get(count, "0")) > 0 for count in counts)


def rejoins(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun starts all nodes anew, and counts no restart, when one of them comes back."""
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
