"""The rows of a cache: found by key, selected by split, and their bytes located, compared with checksums and decoded.

Whoever reads a cache, row by row (`Cache`) or in batches (the loader's `CacheRows`), reads it through a `RowStore`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import CacheError, DamagedRowError, UsageError
from ...transforms.draw import hash_key
from .checksums import Bytes, checksum_fault
from .columns import distinct
from .encodings import decode_mask, decode_row
from .files import ReadFiles
from .index import Index
from .mapping import MappedFiles
from .selection import Selection

RowNumbers = NDArray[np.int64]

_MOST_BYTES = 1 << 31  # of a row's pixels


class Locations(NamedTuple):
    """Where the bytes of rows lie: the number of the part, the offset in it and the length, each `int64[N]`."""

    part: RowNumbers
    offset: RowNumbers
    length: RowNumbers

    def row(self, i: int) -> tuple[int, int, int]:
        """Part, offset and length of the i-th row."""
        return int(self.part[i]), int(self.offset[i]), int(self.length[i])


class RowStore:
    """The rows of a cache by number, in the files of its parts.

    Of a row there are the pixels and, by the name of their column, masks: `mask` names these bytes, None the pixels.
    `columns` are those of the index, by name.
    Raises `DamagedRowError` for a row whose bytes are not those that were written.
    """

    def __init__(
        self, index: Index, files: MappedFiles | ReadFiles, encoding: str, splits: Mapping[str, int] | None
    ) -> None:
        self.index, self.files, self.encoding, self.splits = index, files, encoding, splits or {}
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

    def locations(self, rows: RowNumbers, mask: str | None = None) -> Locations:
        """Where the bytes of rows lie, all of them within their parts."""
        prefix = "" if mask is None else f"{mask}_"
        part = self.columns["part"][rows].astype(np.int64)
        offset, length = self.columns[f"{prefix}offset"][rows], self.columns[f"{prefix}length"][rows]
        outside = (offset < 0) | (offset + length > self.files.sizes[part])
        if outside.any():
            what = "it" if mask is None else f"its {mask}"
            raise self.damage(int(rows[outside][0]), f"the index places {what} outside of its part")
        return Locations(part, offset, length)

    def sizes(self, rows: RowNumbers, locations: Locations) -> NDArray[np.int32]:
        """The height and width `int32[N, 2]` of the pixels of rows, which their lengths must fit."""
        sizes = np.stack([self.columns["height"][rows], self.columns["width"][rows]], -1).astype(np.int32)
        lengths = sizes.astype(np.int64).prod(1) * 3
        wrong = (locations.length != lengths) if self.encoding == "raw" else (lengths > _MOST_BYTES)
        if wrong.any():
            raise self.damage(int(rows[wrong][0]), "the index gives it another size than its bytes have")
        return sizes

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

    def decode_mask(self, row: int, data: Bytes, mask: str) -> NDArray[Any]:
        """The mask `[h, w]` in the bytes of a row."""
        try:
            return decode_mask(data)
        except (ValueError, OSError) as error:
            raise self.damage(row, f"its {mask} cannot be decoded ({error})") from error

    def read(self, row: int, mask: str | None = None) -> bytes:
        """The bytes of a row, compared with their checksum."""
        rows = np.array([row], np.int64)
        return self._read(rows, self.locations(rows, mask), mask)

    def _read(self, rows: RowNumbers, locations: Locations, mask: str | None = None) -> bytes:
        """The bytes of one row, which was located."""
        self.files.states.check(distinct(locations.part))
        data: bytes = self.files.get(*locations.row(0)).tobytes()
        self.confirm()
        self.verify(int(rows[0]), data, self.checksums(rows, mask)[0], mask)
        return data

    def read_pixels(self, row: int) -> NDArray[np.uint8]:
        """The pixels `uint8[h, w, 3]` of a row, compared with their checksum and decoded."""
        rows = np.array([row], np.int64)
        locations = self.locations(rows)
        (size,) = self.sizes(rows, locations).tolist()
        pixels = np.empty((*size, 3), np.uint8)
        self.decode(row, self._read(rows, locations), pixels)
        return pixels

    def read_mask(self, row: int, mask: str) -> NDArray[Any]:
        """A mask `[h, w]` of a row, compared with its checksum and decoded."""
        return self.decode_mask(row, self.read(row, mask), mask)

    def confirm(self) -> None:
        """Raise `CacheError` where a file was cut while it was read."""
        self.files.confirm()
        self.index.confirm()

    def describe(self, row: int, fault: str) -> str:
        """What is wrong with a row, with its key, its number and its part."""
        rows = np.array([row], np.int64)
        part = self.files.states.paths[int(self.columns["part"][rows][0])].name
        return f"row {self.keys(rows)[0]!r} (number {row} in {part}) is damaged: {fault}"

    def damage(self, row: int, fault: str) -> DamagedRowError:
        """The error for a damaged row."""
        cure = "run presize again, it makes the row anew, or load the cache with damaged='replace'"
        return DamagedRowError(f"{self.describe(row, fault)}: {cure}", row, self.keys(np.array([row], np.int64))[0])
