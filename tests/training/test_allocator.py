"""A training keeps what it frees, and gives it back when told."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource
import torch
from asr.training.hardware import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def use():
    blocks = [torch.ones(1 << 18) for _ in range(200)]
    kept = torch.ones(1 << 18)  # lies above them, so that what they leave is no end of the heap
    del blocks
    return kept

keep_freed_memory()
before = resident()
kept = use()
freed = resident()
give_back_freed_memory()
print((freed - before) >> 20, (resident() - before) >> 20)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not Path("/proc/self/statm").exists(), reason="another C library keeps nothing"
)
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=120)
    kept, left = map(int, done.stdout.split())
    assert kept > 150
    assert left < 50
