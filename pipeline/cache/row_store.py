"""The rows of a cache in its files: their bytes located, read, compared with checksums and decoded.

Whoever reads a cache, row by row (`Cache`) or in batches (the loader's `CacheRows`), reads it through a `RowStore`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .columns import distinct
from .files import ReadFiles
from .index import Index
from .mapping import MappedFiles
from .row_index import RowIndex, RowNumbers


class Locations(NamedTuple):
    """Where the bytes of rows lie: the number of the part, the offset in it and the length, each `int64[N]`."""

    part: RowNumbers
    offset: RowNumbers
    length: RowNumbers

    def row(self, i: int) -> tuple[int, int, int]:
        """Part, offset and length of the i-th row."""
        return int(self.part[i]), int(self.offset[i]), int(self.length[i])


class RowStore(RowIndex):
    """The rows of a cache by number, in the files of its parts."""

    def __init__(
        self, index: Index, files: MappedFiles | ReadFiles, encoding: str, splits: Mapping[str, int] | None
    ) -> None:
        super().__init__(index, encoding, splits, [path.name for path in files.states.paths])
        self.files = files

    def locations(self, rows: RowNumbers, mask: str | None = None) -> Locations:
        """Where the bytes of rows lie, all of them within their parts."""
        prefix = "" if mask is None else f"{mask}_"
        part = self.columns["part"][rows].astype(np.int64)
        offset, length = self.columns[f"{prefix}offset"][rows], self.lengths(rows, mask)
        outside = (offset < 0) | (offset + length > self.files.sizes[part])
        if outside.any():
            what = "it" if mask is None else f"its {mask}"
            raise self.damage(int(rows[outside][0]), f"the index places {what} outside of its part")
        return Locations(part, offset, length)

    def bytes_of(self, rows: RowNumbers, mask: str | None = None) -> list[NDArray[np.uint8]]:
        """The bytes of rows, where they lie if the files are mapped; they are not compared with their checksums."""
        locations = self.locations(rows, mask)
        return [self.files.get(*locations.row(i)) for i in range(len(rows))]

    def read(self, row: int, mask: str | None = None) -> bytes:
        """The bytes of a row, compared with their checksum."""
        rows = np.array([row], np.int64)
        locations = self.locations(rows, mask)
        self.files.states.check(distinct(locations.part))
        data: bytes = self.files.get(*locations.row(0)).tobytes()
        self.confirm()
        self.verify(row, data, self.checksums(rows, mask)[0], mask)
        return data

    def confirm(self) -> None:
        """Raise `CacheError` where a file was cut while it was read."""
        self.files.confirm()
        self.index.confirm()
