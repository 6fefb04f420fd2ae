"""How the C library deals with memory that tensors on a CPU leave."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""
LARGEST_THRESHOLD = 32 << 20
"""More is refused as a threshold of mmap."""
NEVER = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Makes this process keep what it frees, for the next step; where the C library is not glibc, nothing changes.

    By itself glibc gives large blocks back to the system, which hands them out again page by page, each filled with
    zeros: thousands of faults in every step of a training.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_THRESHOLD, LARGEST_THRESHOLD)


def give_back_freed_memory() -> None:
    """Gives back what was freed, before work of another kind: its blocks would find no room among those that were kept.

    Without it a process that trains and decodes by turns takes a little more memory in each epoch.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
