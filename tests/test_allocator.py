"""A training keeps what it frees, and gives it back when told."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
from asr.training.allocator import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    kept, left = map(int, done.stdout.split())
    assert kept > 150
    assert left < 50
