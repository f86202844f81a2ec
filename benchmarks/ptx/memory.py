"""Where an address leads, who was there before, and what must not happen there.

Every allocation has 64 GiB of addresses of its own and begins in the middle of them: no wrong offset, negative or wide,
leads into another one.
"""

from dataclasses import dataclass, field

import numpy as np

from .arithmetic import Array

WINDOW = 36
MIDDLE = 1 << 35
PADDING = 512
"""What allocations are aligned to (torch's on a GPU), and the least room between two."""


class Fault(Exception):  # noqa: N818 - it is not an error of the caller
    """What no correct kernel does; says at which instruction and line of Python."""


@dataclass(frozen=True)
class Visitors:
    """Threads that come to memory: their numbers in the launch, their blocks, and how many barriers they are past."""

    threads: Array
    blocks: Array
    barriers: Array


@dataclass
class Memory:
    """Allocations of one launch in one array of bytes; in `fresh` ones nothing has been written yet."""

    sizes: Array
    fresh: bool
    begins: Array = field(init=False)
    bytes: Array = field(init=False)

    def __post_init__(self) -> None:
        room = -(-self.sizes // PADDING) * PADDING + PADDING
        self.sizes, self.begins = np.append(0, self.sizes), np.append(0, room.cumsum())  # window 0 is nobody's
        self.bytes = np.full(self.begins[-1] + PADDING, 0xA5, np.uint8)
        self.dirty = np.zeros(len(self.sizes), bool)
        self.writer, self.block, self.barrier = (np.full(len(self.bytes), -1, np.int32) for _ in range(3))

    def contents(self, number: int) -> Array:
        """The bytes of allocation `number`."""
        begin = self.begins[number]
        return self.bytes[begin : begin + self.sizes[number + 1]]

    def load(self, address: Array, size: int, who: Visitors) -> Array:
        """`uint8[threads, size]`."""
        window, place = self._places(address, size)
        at = place[:, None] + np.arange(size)
        if self.fresh and (self.writer[at] < 0).any():
            raise Fault("memory is read before it is written")
        if self.dirty[window].any():
            writer = self.writer[at]
            others = (writer >= 0) & (writer != who.threads[:, None])
            if others.any() and (others & ~self._is_settled(at, who)).any():
                raise Fault("a thread reads what another has written, without a barrier between")
        return self.bytes[at]

    def store(self, address: Array, value: Array, who: Visitors) -> None:
        """Write `uint8[threads, size]`."""
        window, place = self._places(address, value.shape[1])
        at = place[:, None] + np.arange(value.shape[1])
        if self.dirty[window].any():
            others = (self.writer[at] >= 0) & (self.writer[at] != who.threads[:, None]) & (self.bytes[at] != value)
            if others.any() and (others & ~self._is_settled(at, who)).any():
                raise Fault("two threads write different values to one place")
        self.bytes[at], self.dirty[window] = value, True
        self.writer[at], self.block[at], self.barrier[at] = (
            x[:, None] for x in (who.threads, who.blocks, who.barriers)
        )
        if (self.bytes[at] != value).any():  # by two of these very threads
            raise Fault("two threads write different values to one place")

    def _places(self, address: Array, size: int) -> tuple[Array, Array]:
        """The allocations of accesses of `size` bytes, and where in `bytes` they begin."""
        if (address & np.uint64(size - 1)).any():
            raise Fault(f"an access of {size} bytes at an address that is no multiple of it")
        window = (address >> np.uint64(WINDOW)).astype(np.int64)
        window = np.where(window < len(self.sizes), window, 0)
        offset = address.astype(np.int64) - (window << WINDOW) - MIDDLE
        outside = (window == 0) | (offset < 0) | (offset + size > self.sizes[window])
        if outside.any():
            first = np.flatnonzero(outside)[0]
            where = (
                f"byte {offset[first]} of an allocation of {self.sizes[window[first]]}" if window[first] else "nowhere"
            )
            raise Fault(f"an access of {size} bytes at {where}, by {outside.sum()} of {len(address)} threads")
        return window, self.begins[window - 1] + offset

    def _is_settled(self, at: Array, who: Visitors) -> Array:
        """Whether a barrier of the visitor's own block lies between the last write and now."""
        settled: Array = (self.block[at] == who.blocks[:, None]) & (self.barrier[at] < who.barriers[:, None])
        return settled


def address_of(number: int) -> int:
    """Where allocation `number` begins."""
    return ((number + 1) << WINDOW) + MIDDLE
