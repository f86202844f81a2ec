"""Memory for results that is used again as soon as nobody holds it.

A fresh allocation of a batch costs more than the warp that fills it, because every page of it faults.
"""

import weakref
from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

ALIGNMENT = 64


class Buffers:
    """Gives out tensors whose memory comes back when the last tensor that shares it is gone.

    Views, batches kept by the user and tensors held by autograd all keep it away: it is torch that lets go of it.
    At most `spare` buffers wait to be used again. Safe to share among threads.

    >>> buffers = Buffers()
    >>> first = buffers.empty((2, 3), torch.float32, torch.contiguous_format)
    >>> view, place = first[0], first.data_ptr()
    >>> del first
    >>> buffers.empty((2, 3), torch.float32, torch.contiguous_format).data_ptr() == place
    False
    >>> del view
    >>> place in {buffers.empty((2, 3), torch.float32, torch.contiguous_format).data_ptr() for _ in range(2)}
    True
    """

    def __init__(self, spare: int = 4) -> None:
        self._waiting: deque[Bytes] = deque(maxlen=spare)  # Appending to a full one drops the oldest.
        self._lent: dict[int, weakref.ref[Bytes]] = {}

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format) -> Tensor:
        """A tensor of this shape with arbitrary contents."""
        strides = torch.empty(shape, dtype=dtype, device="meta", memory_format=memory_format)
        length = strides.numel() * strides.element_size()
        if not length:
            return torch.empty(shape, dtype=dtype, memory_format=memory_format)
        buffer = self._take(length)
        lent = buffer[:]  # An array object of its own, which torch drops together with the storage.
        reference = weakref.ref(lent, lambda gone: self._give_back(id(gone), buffer))
        self._lent[id(reference)] = reference
        return torch.from_numpy(lent).view(dtype).as_strided(shape, strides.stride())

    def _take(self, length: int) -> Bytes:
        """A waiting buffer of this length, else a new one."""
        for _ in range(len(self._waiting)):
            try:
                buffer = self._waiting.popleft()
            except IndexError:  # Another thread was faster.
                break
            if len(buffer) == length:
                return buffer
            self._waiting.append(buffer)
        memory = np.empty(length + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        return memory[start : start + length]

    def _give_back(self, reference: int, buffer: Bytes) -> None:
        """Called as the last tensor on the buffer goes; may run inside any other call, so it takes no lock."""
        del self._lent[reference]
        self._waiting.append(buffer)
