"""Memory that gRPC frees is kept for its next message: fresh memory costs a page fault for every 4 kB.

A server that has nothing to do gives it back to the system.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache

import pyarrow as pa

from .monitoring import Monitoring

_KEEP = 256 << 20  # bytes that a process keeps at most
_LARGEST = 32 << 20  # bytes of an allocation that is kept; the C library takes no more
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Let the C library keep up to 256 MB of freed memory rather than give each block back; whether it can.

    A message of some megabytes is allocated, filled once and freed: with this, receiving takes about 0.6 of the
    processor time. Another C library than glibc stays as it is.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _KEEP))
    return False


def give_back_freed_memory() -> None:
    """Give the system what the C library and Arrow have kept of freed memory."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class IdleMemory:
    """The freed memory of a server, which is given back when no request was there from one `look` to the next."""

    def __init__(self, monitoring: Monitoring, release: Callable[[], object]) -> None:
        self._monitoring, self._release = monitoring, release
        self._count = self._released = 0  # requests that had ended at the last look, and when memory was given back

    def look(self) -> bool:
        """Give memory back where there was nothing to do since the last look; whether that was so."""
        state = self._monitoring.state()
        count = sum(totals.requests for totals in state.totals.values())
        idle = not sum(state.in_flight.values()) and count == self._count != self._released
        self._count = count
        if idle:
            self._released = count
            self._release()
            give_back_freed_memory()
        return idle
