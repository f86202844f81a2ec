"""What an index says of the rows of a cache: where they are found, which split has them, what their bytes must be."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError, DamagedRowError, UsageError
from ...transforms.draw import hash_key
from .checksums import Bytes, checksum_fault
from .encodings import decode_mask, decode_row
from .index import Index
from .selection import Selection

RowNumbers = NDArray[np.int64]

_MOST_BYTES = 1 << 31  # of a row's pixels


class RowIndex:
    """The rows of a cache by number, wherever their bytes are kept.

    Of a row there are the pixels and, by the name of their column, masks: `mask` names these bytes, None the pixels.
    `columns` are those of the index, by name; `part_names` are the names of the parts, by number.
    Raises `DamagedRowError` for a row whose bytes are not those that were written.
    """

    def __init__(
        self, index: Index, encoding: str, splits: Mapping[str, int] | None, part_names: Sequence[str]
    ) -> None:
        self.index, self.encoding, self.splits, self.part_names = index, encoding, splits or {}, part_names
        self.columns = {name: index[name] for name in index.names}

    def __len__(self) -> int:
        return len(self.index)

    def keys(self, rows: RowNumbers) -> list[str]:
        """The keys of the rows of these numbers."""
        keys: list[str] = self.columns["key"][rows].tolist()
        return keys

    def find(self, key: str) -> int:
        """The number of the row of a key; `UsageError` where there is none."""
        for row in self.columns["key_hash"].where(np.uint64(hash_key(key))).tolist():
            if self.keys(np.array([row])) == [key]:
                return int(row)
        raise UsageError(f"key must be one of the cache's, but {key!r} is not: keys are paths relative to the source")

    def select(self, split: str) -> Selection:
        """The rows of a split.

        Raises `UsageError` for a split that is not there, and `CacheError` where the footer counts other rows.
        """
        if split not in self.splits:
            names = ", ".join(self.splits) or "none, the cache was made with split none"
            raise UsageError(f"split must be one of the cache's ({names}), but got {split!r}")
        selection, count = Selection(self.columns["split"].equal(split)), self.splits[split]
        if len(selection) != count:
            raise CacheError(f"split {split!r} of the cache has {len(selection)} rows, and its footer says {count}")
        return selection

    def lengths(self, rows: RowNumbers, mask: str | None = None) -> NDArray[np.int64]:
        """How many bytes the rows have, `int64[N]`."""
        lengths: NDArray[np.int64] = self.columns["length" if mask is None else f"{mask}_length"][rows]
        return lengths

    def sizes(self, rows: RowNumbers) -> NDArray[np.int32]:
        """The height and width `int32[N, 2]` of the pixels of rows, which their lengths must fit."""
        sizes = np.stack([self.columns["height"][rows], self.columns["width"][rows]], -1).astype(np.int32)
        bytes_of_pixels = sizes.astype(np.int64).prod(1) * 3
        wrong = self.lengths(rows) != bytes_of_pixels if self.encoding == "raw" else bytes_of_pixels > _MOST_BYTES
        if wrong.any():
            raise self.damage(int(rows[wrong][0]), "the index gives it another size than its bytes have")
        return sizes

    def matrix(self, rows: RowNumbers) -> NDArray[np.float64]:
        """The matrices `float64[N, 3, 3]` from the pixels of rows to those of their files."""
        matrix: NDArray[np.float64] = self.columns["matrix"][rows].reshape(-1, 3, 3)
        return matrix

    def checksums(self, rows: RowNumbers, mask: str | None = None) -> list[int]:
        """The checksums that the bytes of rows must have."""
        expected: list[int] = self.columns["checksum" if mask is None else f"{mask}_checksum"][rows].tolist()
        return expected

    def verify(self, row: int, data: Bytes, expected: int, mask: str | None = None) -> None:
        """Compare the bytes of a row with their checksum."""
        if fault := checksum_fault(data, expected, mask):
            raise self.damage(row, fault)

    def decode(self, row: int, data: Bytes, out: NDArray[np.uint8]) -> None:
        """Decode the bytes of a row into `out` `uint8[h, w, 3]`, without the interpreter's lock."""
        try:
            decode_row(data, self.encoding, out)
        except (ValueError, OSError) as error:
            raise self.damage(row, f"it cannot be decoded ({error})") from error

    def to_pixels(self, row: int, data: Bytes) -> NDArray[np.uint8]:
        """The pixels `uint8[h, w, 3]` in the bytes of a row."""
        (size,) = self.sizes(np.array([row], np.int64)).tolist()
        pixels = np.empty((*size, 3), np.uint8)
        self.decode(row, data, pixels)
        return pixels

    def decode_mask(self, row: int, data: Bytes, mask: str) -> NDArray[Any]:
        """The mask `[h, w]` in the bytes of a row."""
        try:
            return decode_mask(data)
        except (ValueError, OSError) as error:
            raise self.damage(row, f"its {mask} cannot be decoded ({error})") from error

    def describe(self, row: int, fault: str) -> str:
        """What is wrong with a row, with its key, its number and its part."""
        rows = np.array([row], np.int64)
        part = self.part_names[int(self.columns["part"][rows][0])]
        return f"row {self.keys(rows)[0]!r} (number {row} in {part}) is damaged: {fault}"

    def damage(self, row: int, fault: str) -> DamagedRowError:
        """The error for a damaged row."""
        cure = "run presize again, it makes the row anew, or load the cache with damaged='replace'"
        return DamagedRowError(f"{self.describe(row, fault)}: {cure}", row, self.keys(np.array([row], np.int64))[0])
