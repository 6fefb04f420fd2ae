"""Where a number comes from: the command, the commit, the hardware."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from asr.common.documents import from_json, read_json
from asr.common.errors import MASK, RunError, masked
from asr.common.files import atomic_write_text

CHECKOUT = Path(__file__).parents[2]
GIT_SECONDS = 10
PROVENANCE = "provenance.json"

# `some.api_key=value`: no key of the configuration is a secret, but a misplaced one must not reach a file.
_SECRET = re.compile(r"([^=]*(?:key|token|secret|password))=.*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Provenance:
    """The command, the code and the hardware of a process."""

    command: str
    commit: str | None
    """Null where the package is not run from its git checkout."""
    hardware: str
    torch: str
    """Version of PyTorch."""


def provenance() -> Provenance:
    """That of this process."""
    return Provenance(command(), commit(), hardware(), torch.__version__)


def keep_provenance(run: Path, identity: Mapping[str, str]) -> None:
    """Writes that of this process, which begins a training, into the run's folder.

    Args:
        identity: What the run is, whatever its folder is named later.
    """
    kept = asdict(provenance()) | {"host": platform.node(), "identity": dict(identity)}
    atomic_write_text(run / PROVENANCE, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def kept_provenance(run: Path) -> Provenance | None:
    """That of the process which began the training of a run; None where the run is older than this file.

    Raises:
        RunError: The file is damaged.
    """
    kept = _kept(run)
    return None if kept is None else kept[0]


def kept_identity(run: Path) -> dict[str, str]:
    """What a run is, as the process wrote it that began its training; empty where the run is older than that, or the
    file is damaged."""
    try:
        kept = _kept(run)
    except RunError:
        return {}
    return {} if kept is None else kept[1]


def _kept(run: Path) -> tuple[Provenance, dict[str, str]] | None:
    path = run / PROVENANCE
    try:
        kept = read_json(path)
        identity = from_json(dict[str, str], kept.pop("identity", {}))
        return from_json(Provenance, kept), identity
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        raise RunError(f"{path} is damaged: delete it, and results name the command that evaluates instead.") from None


def command() -> str:
    """The command line as a shell takes it, whichever way the program was started; values of secrets are left out."""
    return shlex.join(["asr", *public_arguments()])


def public_arguments() -> list[str]:
    """The arguments of the command line; values of secrets and credentials in addresses are left out."""
    return [masked(_SECRET.sub(rf"\1={MASK}", argument)) for argument in sys.argv[1:]]


def commit() -> str | None:
    """The commit of the checkout, with +dirty behind where tracked files were changed; None outside a checkout.

    The checkout may be another user's, as on a cluster: its code runs anyway, so git may trust it.
    """
    if not (CHECKOUT / ".git").exists():  # a wheel, maybe within somebody else's checkout
        return None
    describe = ["describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+dirty"]
    try:
        answer = subprocess.run(
            ["git", "-c", f"safe.directory={CHECKOUT.resolve()}", "--no-optional-locks", "-C", CHECKOUT, *describe],
            check=False,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def hardware() -> str:
    """Processor, cores that this process may use, and GPUs: "AMD EPYC 9R14, 2 cores, 4 x NVIDIA H100 80GB HBM3"."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = Counter(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    parts = [processor(), f"{cores} core{'s' if cores > 1 else ''}"]
    return ", ".join([*parts, *(f"{count} x {name}" for name, count in gpus.items())])


def processor() -> str:
    """The model of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
