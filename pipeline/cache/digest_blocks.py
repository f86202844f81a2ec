"""A file in memory, of which each block is compared with its checksum before its bytes are used."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError
from .checksums import BLOCK, checksum

_SHIFT = BLOCK.bit_length() - 1

Test = Callable[[NDArray[Any]], NDArray[np.bool_]]
"""Tells which of some values are impossible."""


@dataclass(frozen=True)
class Region:
    """An array in the file, from byte `start` on: the values of the column `name`, and the test of what they may be.

    Without `blocks` it lies in memory of this process, and was tested when it was made.
    """

    name: str
    values: NDArray[Any]
    test: Test | None
    blocks: "Blocks | None" = None
    start: int = 0

    @property
    def width(self) -> int:
        """How many bytes one value has."""
        return self.values.itemsize * int(np.prod(self.values.shape[1:]))

    @property
    def end(self) -> int:
        """The byte behind the last."""
        return self.start + self.width * len(self.values)

    def __getitem__(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """The values of these numbers, verified."""
        if self.blocks is not None and self.blocks.unverified:
            self.blocks.verify(self, numbers)
        return self.values[numbers]

    def part(self, begin: int, end: int) -> NDArray[Any]:
        """The values from `begin` up to `end`, verified."""
        if self.blocks is not None and self.blocks.unverified:
            self.blocks.verify_range(self, begin, end)
        return self.values[begin:end]


class Blocks:
    """The bytes `uint8[n]` of a file and the checksums of its blocks; `verify` compares each once, before it is used.

    Raises `CacheError` for a damaged block, and for a value in it that fails the test of its column: values that a
    stranger wrote have the right checksum. A block that was verified costs one lookup from then on.
    """

    def __init__(self, path: Path, data: NDArray[np.uint8], checksums: Sequence[int]) -> None:
        self.path, self.data, self._checksums = path, data, checksums
        self._verified = np.zeros(len(checksums), bool)
        self.unverified = len(checksums)
        """How many blocks are not yet verified."""
        self._regions: list[Region] = []
        self._lock = Lock()

    def region(self, name: str, values: NDArray[Any], test: Test | None) -> Region:
        """An array that lies in these bytes; `CacheError` where it does not."""
        start = values.ctypes.data - self.data.ctypes.data if values.size else 0
        region = Region(name, values, test, self, start)
        if start < 0 or region.end > len(self.data):
            raise CacheError(f"{self.path} is no index of a cache: its column {name} lies outside of it")
        self._regions.append(region)
        return region

    def verify(self, region: Region, numbers: NDArray[np.int64]) -> None:
        """Verify the blocks of some values of a region, which will be used."""
        if region.width:
            begin = region.start + numbers * region.width
            self._verify_blocks(np.concatenate([begin >> _SHIFT, (begin + (region.width - 1)) >> _SHIFT]))

    def verify_range(self, region: Region, begin: int, end: int) -> None:
        """Verify the blocks of the values from `begin` up to `end` of a region."""
        if begin < end:
            first, last = region.start + begin * region.width, region.start + end * region.width - 1
            self._verify_blocks(np.arange(first >> _SHIFT, (last >> _SHIFT) + 1))

    def verify_all(self) -> None:
        """Verify every block of the file."""
        self._verify_blocks(np.arange(len(self._checksums)))

    def verify_ends(self) -> None:
        """Compare the first and the last block, which say where all columns lie, with their checksums."""
        for block in {0, len(self._checksums) - 1}:
            self._compare(block)  # not yet verified: its values are tested later

    def damages(self) -> Iterator[str]:
        """A line for each damaged block."""
        for block in range(len(self._checksums)):
            try:
                self._check(block)
            except CacheError as error:
                yield str(error)

    def _verify_blocks(self, blocks: NDArray[np.int64]) -> None:
        for block in sorted(set(blocks[~self._verified[blocks]].tolist())):
            self._check(block)

    def _check(self, block: int) -> None:
        self._compare(block)
        with self._lock:
            if not self._verified[block]:
                for region in self._regions:
                    self._test(region, block)
                self._verified[block] = True
                self.unverified -= 1

    def _compare(self, block: int) -> None:
        if checksum(self.data[block << _SHIFT : (block + 1) << _SHIFT]) != self._checksums[block]:
            names = dict.fromkeys(region.name for region in self._regions if _overlaps(region, block))
            where = f" ({', '.join(names)})" if names else ""
            raise CacheError(
                f"{self.path} is damaged: the checksum of block {block}{where} is not that of the cache: run "
                "presize again, it makes it anew"
            )

    def _test(self, region: Region, block: int) -> None:
        """Test the values that end in a block, and those that begin in it and end in a verified one."""
        if region.test is None or not _overlaps(region, block):
            return
        begin, end = (block << _SHIFT) - region.start, ((block + 1) << _SHIFT) - region.start
        before = block > 0 and self._verified[block - 1]
        behind = block + 1 < len(self._verified) and self._verified[block + 1]
        first = begin // region.width if before else -(-begin // region.width)
        last = -(-end // region.width) if behind else end // region.width
        refuse_impossible(region, max(0, first), min(len(region.values), last), f"{self.path}")


def refuse_impossible(region: Region, first: int, last: int, where: str) -> None:
    """Raise `CacheError` for a value from `first` up to `last` that fails the test of its column."""
    if region.test is None or first >= last:
        return
    bad = region.test(region.values[first:last])
    if bad.any():
        number = first + int(np.flatnonzero(bad)[0])
        raise CacheError(
            f"{where} is no index of a cache: value {number} of its column {region.name} cannot be "
            f"{region.values[number].tolist()}: run presize again, it makes it anew"
        )


def _overlaps(region: Region, block: int) -> bool:
    return region.start < (block + 1) << _SHIFT and block << _SHIFT < region.end
