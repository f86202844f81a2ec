"""Many files in one range of addresses: a row anywhere in a cache is a slice of one array."""

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError
from ...transforms.warp import native
from ...transforms.warp.buffers import copy_all
from .files import FileStates, state_of
from .regular_files import open_regular

_PAGE = mmap.PAGESIZE
_HUGE = 2 << 20  # a huge page can only be mapped where address and place in the file agree to this
_MAP_FIXED = 0x10  # the same on Linux and macOS; Python's mmap has no way to say where
_WILLNEED, _HUGEPAGE, _POPULATE_READ = 3, 14, 22
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class MappedFiles:
    """Read-only maps of files, one behind the other, in one array `data` `uint8[total]`.

    File `i` begins at byte `starts[i]`. Nothing is read here, and no file stays open. A file that is removed or
    replaced later is still the one that was mapped. `sizes` are those of the cache's footer: they are compared with the
    files before any byte is read, since reading a map beyond the end of its file ends the process; `states.check`
    compares them again later. Raises CacheError where a file is missing, is no regular file, has another size,
    or where the system maps no more files.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int] | None = None) -> None:
        self.states = FileStates(paths, sizes)
        self.sizes = self.states.sizes
        lengths = [-(-size // _HUGE) * _HUGE for size in self.sizes.tolist()]
        ends = list(accumulate(lengths, initial=0))
        self.starts: NDArray[np.int64] = np.array(ends[:-1], np.int64)
        self.data, self._guard = _reserve(max(ends[-1], _HUGE))
        for number, start in enumerate(ends[:-1]):
            self._map(number, self.data.ctypes.data + start)
        self.states.is_mapped = True

    def _map(self, number: int, address: int) -> None:
        path, size = self.states.paths[number], int(self.sizes[number])
        if size == 0:
            return
        with open_regular(path) as file:
            self.states.refuse_another(number, state_of(os.fstat(file.fileno())))
            mapped = _libc.mmap(address, size, mmap.PROT_READ, mmap.MAP_SHARED | _MAP_FIXED, file.fileno(), 0)
        if mapped == _FAILED:
            reason = os.strerror(ctypes.get_errno())
            raise CacheError(f"{path} cannot be mapped ({reason}): use reading='pread', or raise vm.max_map_count")

    def confirm(self) -> None:
        """Raise CacheError where bytes were read that are no longer there: zeros stood in their place."""
        if self._guard >= 0 and native.extension.lost_pages(self._guard):
            where = self.states.paths[0].parent
            raise CacheError(f"a file in {where} was cut, or its disk fails, while it was read: open the cache again")

    def get(self, file: int, offset: int, length: int) -> NDArray[np.uint8]:
        """A read-only view of bytes of a file: `uint8[length]` from `offset` on."""
        start = int(self.starts[file]) + offset
        return self.data[start : start + length]

    def get_all(
        self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> list[NDArray[np.uint8]]:
        """Read-only views of bytes of files."""
        return [self.get(*place) for place in zip(files.tolist(), offsets.tolist(), lengths.tolist(), strict=True)]

    def bring_in(self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Read these ranges, and wait until they are in memory; Linux before 5.14 waits when they are first used.

        They are asked for first: a fault in a map makes the system read far more around a page than the range.
        """
        self.expect(files, offsets, lengths)
        self._advise(_POPULATE_READ, files, offsets, lengths)

    def fill(self, outs: Sequence[NDArray[np.uint8]], files: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        """Copy bytes from these places into each of `outs` `uint8[length]`."""
        starts = (self.starts[files] + offsets).tolist()
        copy_all(outs, [self.data[start : start + len(out)] for out, start in zip(outs, starts, strict=True)])

    def expect(self, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Ask the system to read these ranges ahead."""
        self._advise(_WILLNEED, files, offsets, lengths)

    def _advise(
        self, advice: int, files: NDArray[np.int64], offsets: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> None:
        starts = self.starts[files] + offsets
        first = starts // _PAGE * _PAGE
        base = self.data.ctypes.data
        for start, length in zip(first.tolist(), (starts + lengths - first).tolist(), strict=True):
            _libc.madvise(base + start, length, advice)

    def warm_up(self) -> None:
        """Bring all files into memory, in order, in huge pages where the system has them for files.

        Huge pages make shuffled reads as fast as a copy within memory, and the map is filled on the way.
        """
        base = self.data.ctypes.data
        for start, size in zip(self.starts.tolist(), self.sizes.tolist(), strict=True):
            _libc.madvise(base + start, size, _HUGEPAGE)
            if size and _libc.madvise(base + start, size, _POPULATE_READ):  # Linux before 5.14
                self.states.warm_up()
                return


def map_limit() -> int:
    """How many maps the system allows a process to have."""
    try:
        return int(Path("/proc/sys/vm/max_map_count").read_text())
    except (OSError, ValueError):  # not Linux: no such limit
        return 1 << 30


def _reserve(length: int) -> tuple[NDArray[np.uint8], int]:
    """Addresses without memory, from a multiple of a huge page on, given back when their last view is gone; and the
    number of the guard of pages that are lost, -1 without one.
    """
    total = length + _HUGE
    address = _libc.mmap(None, total, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if address == _FAILED:
        raise CacheError(f"The system has no {total} bytes of addresses left to map the cache: use reading='pread'")
    owner = (ctypes.c_uint8 * length).from_address(-(-address // _HUGE) * _HUGE)
    # Without the extension nothing is guarded: a file that is cut while it is read ends the process.
    guard = native.extension.guard_map(owner) if native.extension else -1
    weakref.finalize(owner, _release, address, total, guard).atexit = False
    data: NDArray[np.uint8] = np.frombuffer(memoryview(owner), np.uint8)
    return data, guard


def _release(address: int, length: int, guard: int) -> None:
    if guard >= 0:
        native.extension.release_map(guard)
    _libc.munmap(address, length)
