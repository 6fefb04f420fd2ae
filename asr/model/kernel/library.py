"""The compiled kernel: built by the system's C++ compiler on first use and kept in the user's cache folder."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

log = logging.getLogger(__name__)

SOURCES = [Path(__file__).with_name(name) for name in ("recurrence.cpp", "dropout.cpp", "layer_norm.cpp")]
HEADERS = [Path(__file__).with_name(name) for name in ("parallel.h", "bfloat16.h")]
# Contracted to fused multiply-adds by every compiler alike. No -fopenmp: see parallel.h.
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-w")
NATIVE = ("-mcpu=native",) if platform.machine() == "aarch64" else ("-march=native",)
COMPILERS = ("g++", "clang++", "c++")
COMPILE_SECONDS = 120
DTYPES = (torch.float32, torch.bfloat16)
"""What the kernel computes with."""


class KernelMissing(Exception):
    """There is no kernel on this machine; the message says why."""


_enabled = True


def enable(enabled: bool) -> None:
    """Lets layers use the kernel where there is one, which is the default, or not."""
    global _enabled
    _enabled = enabled


def load() -> ctypes.CDLL | None:
    """The kernel of this machine, compiled on first use; None where there is none or it is disabled."""
    return compiled_kernel() if _enabled else None


@functools.cache
def compiled_kernel() -> ctypes.CDLL | None:
    """What `load` gives where the kernel is wanted; where there is none, the log says once why."""
    try:
        return open_library(build(cache_folder()))
    except KernelMissing as missing:
        log.info("Recurrent layers run without the CPU kernel: %s", missing)
        return None


def build(folder: Path, target: tuple[str, ...] = NATIVE) -> Path:
    """Compiles the kernel into a folder unless it is there.

    The name has a hash of everything that determines the content, so that machines with a shared home do not load each
    other's, and one of the content: loading half of a library would end the process without a word. The file is written
    under a temporary name and renamed, so processes may race.

    Args:
        target: The compiler's options for the processor.

    Raises:
        KernelMissing: There is no compiler, it fails, or the folder cannot be written.
    """
    compiler = find_compiler()
    command = [*compiler, *FLAGS, *target]
    try:
        version = subprocess.run([*compiler, "--version"], check=True, capture_output=True, timeout=COMPILE_SECONDS)
        sources = [path.read_bytes() for path in (*SOURCES, *HEADERS)]
        identity = [*sources, shlex.join(command).encode(), version.stdout, processor_features().encode()]
        name = f"kernel-{_checksum(b'|'.join(identity))}"
        for there in folder.glob(f"{name}-*.so"):
            if there.name == f"{name}-{_checksum(there.read_bytes())}.so":
                return there
            log.warning("%s is damaged: the kernel is compiled again.", there)
            there.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".kernel.", dir=folder) as temporary:
            built = Path(temporary) / "kernel.so"
            compilation = [*command, "-o", str(built), *map(str, SOURCES)]
            subprocess.run(compilation, check=True, capture_output=True, timeout=COMPILE_SECONDS)
            return built.rename(folder / f"{name}-{_checksum(built.read_bytes())}.so")
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {error.returncode}"]
        raise KernelMissing(f"{compiler[0]} fails: {said[0]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelMissing(str(error)) from None


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def open_library(path: Path) -> ctypes.CDLL:
    """Loads a compiled kernel.

    Raises:
        KernelMissing: It cannot be loaded.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KernelMissing(str(error)) from None
    library.recurrence_run.restype = library.dropout_run.restype = library.layer_norm_run.restype = None
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    library.recurrence_run.argtypes = [pointer, count, ctypes.c_int, ctypes.c_int]
    library.layer_norm_run.argtypes = [pointer, ctypes.c_int, ctypes.c_int]
    library.dropout_run.argtypes = [pointer] * 3 + [count, ctypes.c_int, ctypes.c_float, ctypes.c_int, count]
    return library


def find_compiler() -> list[str]:
    """The command of the C++ compiler: $CXX, else the first that is installed.

    Raises:
        KernelMissing: There is none.
    """
    if wanted := os.environ.get("CXX"):
        try:
            return shlex.split(wanted)
        except ValueError as error:
            raise KernelMissing(f"CXX={wanted} is no command ({error}).") from None
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    raise KernelMissing(f"there is no C++ compiler ({', '.join(COMPILERS)}); install one, or name it in $CXX.")


def cache_folder() -> Path:
    """Where compiled kernels are kept: `asr` in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if Path(root).is_absolute() else Path.home() / ".cache") / "asr"


def processor_features() -> str:
    """What distinguishes this processor: its vendor, model and instruction sets."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = (
        re.search(rf"^{key}\s*:.*$", text, re.MULTILINE | re.IGNORECASE)
        for key in ("vendor_id", "model name", "flags|features")
    )
    return "\n".join(match[0] for match in found if match)
