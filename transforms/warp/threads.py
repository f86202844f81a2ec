"""How many threads one warp on the CPU takes: all, unless the thread that calls it has been given a share."""

import os
from contextvars import ContextVar

import torch

_share: ContextVar[int | None] = ContextVar("share of the warp", default=None)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(threads: int | None) -> None:
    """Let warps that this thread calls run on so many threads; None: on `torch.get_num_threads()`.

    For threads that make batches beside one another: torch's own setting cannot be made for one thread alone.
    """
    _share.set(threads)


def count() -> int:
    """How many threads a warp takes when this thread calls it.

    >>> share(3)
    >>> count()
    3
    >>> share(None)
    >>> count() == torch.get_num_threads()
    True
    """
    return _share.get() or torch.get_num_threads()
