"""Recycled memory: tensors whose memory comes back by itself when nobody holds it any more, and copies into it."""

import weakref
from collections import deque
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import native

_Block = NDArray[np.uint8]
_ALIGNMENT = 64  # a cache line, and the widest vector
_CACHED = 16 << 20  # what caches may hold of a batch; kCacheBytes of cpu_warp.h is the same for what a warp makes
_SAME_SIZE: dict[int, type[np.generic]] = {1: np.uint8, 2: np.int16, 4: np.float32, 8: np.int64}


class _Lease(np.ndarray[tuple[int, ...], np.dtype[np.generic]]):
    """A view of a block for one tensor: the tensor's storage, and so every view of it, holds this object."""


class Buffers:
    """A pool of blocks of memory, pinned for a GPU on demand.

    A fresh large block costs a page fault for every 4 kB at its first use, about as much time as filling it: a
    recycled one costs nothing. A tensor made here may be kept for as long as one likes, since its block is taken back
    only when the last view of it is gone. At most `keep` unused blocks are held, none of more than `largest` bytes.

    >>> buffers = Buffers()
    >>> first = buffers.empty((4, 2), torch.float32)
    >>> address, view = first.data_ptr(), first[1:]
    >>> del first
    >>> buffers.free, buffers.empty((4, 2), torch.float32).data_ptr() == address
    (0, False)
    >>> del view
    >>> buffers.free
    2
    """

    def __init__(self, *, pinned: bool = False, keep: int = 16, largest: int | None = None) -> None:
        self._pinned, self._largest = pinned, largest
        # Finalizers run in any thread, at any moment: only the atomic ends of a deque are safe without a lock.
        self._free: deque[_Block] = deque(maxlen=keep)

    @property
    def free(self) -> int:
        """How many unused blocks are held."""
        return len(self._free)

    def clear(self) -> None:
        """Let go of all unused blocks."""
        self._free.clear()

    def empty(
        self,
        shape: tuple[int, ...],
        dtype: torch.dtype = torch.uint8,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Tensor:
        """A tensor of undefined content."""
        block = self._take(prod(shape) * dtype.itemsize)
        last = memory_format == torch.channels_last
        lease = _Lease(shape if not last else (shape[0], *shape[2:], shape[1]), _SAME_SIZE[dtype.itemsize], block)
        if self._largest is None or len(block) <= self._largest:
            weakref.finalize(lease, self._free.append, block).atexit = False
        made = torch.from_numpy(lease).view(dtype)
        return made.permute(0, 3, 1, 2) if last else made

    def _take(self, size: int) -> _Block:
        for _ in range(len(self._free)):
            try:
                block = self._free.popleft()
            except IndexError:  # another thread took the last
                break
            if size <= len(block) <= 2 * size + 4096:
                return block
            self._free.append(block)
        return self._new(_round_up(size))

    def _new(self, size: int) -> _Block:
        if self._pinned:
            pinned: _Block = torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
            return pinned
        raw = np.empty(size + _ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        return raw[start : start + size]


def copy_all(targets: Sequence[NDArray[Any]], sources: Sequence[NDArray[Any]]) -> None:
    """Copy contiguous arrays, each into one of its shape and dtype, without the interpreter's lock.

    More than the caches hold goes past them: that is a third faster, as long as nobody reads it at once.
    """
    beyond = sum(target.nbytes for target in targets) > _CACHED
    copy = native.extension.copy if native.extension and beyond else np.copyto
    for target, source in zip(targets, sources, strict=True):
        copy(target, source)


def _round_up(size: int) -> int:
    """The next eighth of a power of two, so that batches of about the same size can use the same block."""
    step = max(4096, 1 << max(0, size.bit_length() - 4))
    return max(step, -(-size // step) * step)
