"""A real Slurm of two nodes on this one machine, with a configuration, a munge key and ports of its own.

As a program, `python -m tests.helpers.slurm FOLDER`, it stays up until Ctrl-C and prints what to export.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
HOSTS = Path("/etc/hosts")
START_SECONDS = 60

CONFIGURATION = """ClusterName=asr
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=20
JobRequeue=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
InactiveLimit=0
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={node1} CPUs=4 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={node2} CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=n1,n2 Default=YES PriorityTier=1 GraceTime=10 MaxTime=INFINITE State=UP OverSubscribe=NO
PartitionName=urgent Nodes=n1,n2 PriorityTier=9 PreemptMode=OFF MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> str | None:
    """Why there can be no Slurm here, None where there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    return None


@dataclass(frozen=True)
class Slurm:
    """The running cluster."""

    configuration: Path

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands, and `asr`, need to find it."""
        return {"SLURM_CONF": str(self.configuration)}

    def __call__(self, *command: str) -> str:
        """The output of one of Slurm's commands."""
        environment = os.environ | self.environment
        return subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=60
        ).stdout


@contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """Two nodes at work; all of it ends with the block.

    Args:
        folder: Configuration, state and logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _name_nodes()
    controller, node1, node2 = _free_ports(3)
    configuration = folder / "slurm.conf"
    text = CONFIGURATION.format(
        host=socket.gethostname().split(".")[0], folder=folder, controller=controller, node1=node1, node2=node2
    )
    configuration.write_text(text, encoding="utf-8")
    (folder / "state").mkdir(exist_ok=True)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    folder.chmod(0o755)
    slurm = Slurm(configuration)
    environment = os.environ | slurm.environment
    daemons = [
        [
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"),
            *(f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed"),
        ],
        ["slurmctld", "-D"],
        *(["slurmd", "-D", "-N", node] for node in NODES),
    ]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "daemons.log").open("wb"))
        for command in daemons:
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(daemon.wait, 30)
            stack.callback(daemon.terminate)
        _await_nodes(slurm, folder)
        yield slurm
        subprocess.run(["scancel", "--user=root", "--signal=KILL"], env=environment, check=False, timeout=60)


def _await_nodes(slurm: Slurm, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if slurm("sinfo", "--noheader", "--format=%T %D").split() == ["idle", "2"]:
                return
        except subprocess.CalledProcessError:
            pass
        time.sleep(0.5)
    logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(folder.glob("*.log")))
    raise RuntimeError(f"Slurm did not come up in {START_SECONDS} s:\n{logs}")


def _name_nodes() -> None:
    """Lets the names of the nodes be resolved, as they would be on a cluster."""
    text = HOSTS.read_text(encoding="utf-8")
    lacking = [node for node in NODES if node not in text.split()]
    if lacking:
        HOSTS.write_text(f"{text.rstrip()}\n127.0.0.1 {' '.join(lacking)}\n", encoding="utf-8")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def main() -> None:
    """Runs the cluster until Ctrl-C."""
    with running_slurm(Path(sys.argv[1]).absolute()) as slurm:
        print(f"export SLURM_CONF={slurm.configuration}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
