"""Which positions of the global order one rank takes, batch by batch, and what happens to the rest."""

import os
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError

Tail = Literal["ragged", "pad", "drop"]


class Slice(NamedTuple):
    """One batch's positions in the global order `int64[M]`, and which of them are not padding, `bool[M]`."""

    positions: NDArray[np.int64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """One rank's part of an epoch of `total` samples, from the global position `start` on.

    Rank r takes the positions `start + r`, `start + r + world_size`, and so on. The tail is `ragged` (what is left
    makes a short batch, and some ranks may get one sample, or one batch, less), `pad` (all batches are whole: repeats
    from the beginning of the order fill them, and are not valid) or `drop` (what does not fill a batch on every rank
    is left out). A share says nothing of pixels, so that resuming at another world size is another `Share`.

    >>> Share(10, batch_size=2, rank=1, world_size=3, tail="pad").slice(1)
    Slice(positions=array([7, 0]), valid=array([ True, False]))
    """

    total: int
    batch_size: int
    rank: int = 0
    world_size: int = 1
    tail: Tail = "ragged"
    start: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, but got {self.batch_size}")
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise UsageError(f"rank must be in 0..world_size-1, but got rank {self.rank} of {self.world_size}")
        if self.tail not in ("ragged", "pad", "drop"):
            raise UsageError(f"tail must be 'ragged', 'pad' or 'drop', but got {self.tail!r}")

    @property
    def stride(self) -> int:
        """Samples that one step takes over all ranks."""
        return self.batch_size * self.world_size

    def __len__(self) -> int:
        """How many batches this rank gets."""
        rest = self.total - self.start
        if self.tail == "drop":
            return rest // self.stride
        if self.tail == "pad":
            return -(-rest // self.stride)
        own = max(0, rest - self.rank + self.world_size - 1) // self.world_size
        return -(-own // self.batch_size)

    @property
    def last(self) -> int:
        """Samples in the last batch; 0 where there is none."""
        return len(self.slice(len(self) - 1).positions) if len(self) else 0

    @property
    def equal(self) -> bool:
        """Whether all ranks get equally many batches: the first has the most, the last the fewest."""
        return len(replace(self, rank=0)) == len(replace(self, rank=self.world_size - 1))

    def slice(self, batch: int) -> Slice:
        """The positions of one batch."""
        first = self.start + batch * self.stride + self.rank
        positions = first + self.world_size * np.arange(self.batch_size, dtype=np.int64)
        valid = positions < self.total
        if self.tail == "pad":
            return Slice(np.where(valid, positions, positions % self.total), valid)
        return Slice(positions[valid], valid[valid])

    def position_after(self, batches: int) -> int:
        """The global position after `batches` steps of every rank."""
        return min(self.start + batches * self.stride, self.total)


def from_environment(name: str, default: int) -> int:
    """The integer that a launcher of processes has put into the environment (RANK, WORLD_SIZE), or `default`.

    Raises UsageError where it is none.
    """
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"the environment's {name} must be an integer, but got {text!r}") from None
