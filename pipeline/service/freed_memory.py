"""Memory that gRPC frees is kept for its next message: fresh memory costs a page fault for every 4 kB.

A server that has nothing to do gives it back to the system.
"""

import ctypes
import mmap
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from .monitoring import Monitoring

_KEEP = 256 << 20  # bytes that a process keeps at most
_LARGEST = 32 << 20  # bytes of an allocation that is kept; the C library takes no more
_GROWTH = 16 << 20  # bytes of memory for which a look for freed memory is worth its time
_PAUSE = 10  # looks between two times: each may take a tenth of a second
_STATM = Path("/proc/self/statm")
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
    """The freed memory of a server, which is given back when no request was there from one `look` to the next.

    Nothing is done where there is little more memory than there was, nor sooner than so many looks after the last time;
    on other systems than Linux nothing is known of it.
    """

    def __init__(self, monitoring: Monitoring, release: Callable[[], object]) -> None:
        self._monitoring, self._release = monitoring, release
        self._count = 0  # requests that had ended at the last look
        self._least, self._pause = _resident(), 0  # bytes that the server needs, looks at which nothing is done

    def look(self) -> bool:
        """Give memory back where there was nothing to do since the last look; whether that was so."""
        state = self._monitoring.state()
        count = sum(totals.requests for totals in state.totals.values())
        idle = not sum(state.in_flight.values()) and count == self._count
        self._count = count
        self._pause = max(0, self._pause - 1)
        if not idle or self._pause or _resident() < self._least + _GROWTH:
            return False
        self._release()
        give_back_freed_memory()
        self._least, self._pause = min(self._least, _resident()), _PAUSE
        return True


def _resident() -> int:
    """Bytes of this process that are in memory, 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0
