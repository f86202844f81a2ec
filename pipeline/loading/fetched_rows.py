"""Rows whose bytes come from elsewhere, fetched ahead in the order of the loader."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...transforms.warp.buffers import Buffers, copy_all
from ..cache.checksums import Bytes
from ..cache.row_index import RowIndex
from .indexed_rows import Checking, IndexedCache, IndexedRows
from .prefetcher import Prefetcher
from .rows import DecodedPixels, Pixels, RowNumbers, Targets, views

AHEAD = 8
"""How many batches a loader expects beyond those that are made."""

_MOST_TAKEN = 16  # batches whose masks wait to be asked for

Columns = Mapping[str | None, Sequence[Bytes]]
"""The bytes of rows by the column of a mask, and of their pixels under None."""


class Fetcher(Protocol):
    """Where the bytes of rows come from; several threads may call it at once."""

    def fetch(self, rows: RowNumbers, masks: Sequence[str]) -> Columns:
        """The bytes of rows as they are kept: of their pixels and, by column, of their masks."""


class FetchedRows(IndexedRows):
    """The rows of a cache that lies elsewhere: `index` is at hand, and `fetcher` gives the bytes.

    `prefetcher` holds what is fetched ahead. Checksums are compared here, so that what a row is does not depend on
    whom it came from.
    """

    ahead = AHEAD

    def __init__(
        self,
        index: RowIndex,
        cache: IndexedCache,
        fetcher: Fetcher,
        prefetcher: "Prefetcher[Columns]",
        *,
        checking: Checking = "first",
        targets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(index, cache, checking, targets)
        self._fetcher, self._prefetcher = fetcher, prefetcher
        self.masks = tuple(name for name, kind in self._targets.kinds.items() if kind == "mask")
        self._taken: dict[bytes, Columns] = {}  # masks, between a batch's images and its targets

    @property
    def row_index(self) -> RowIndex:
        """What the index says of the rows."""
        return self._index

    def targets_beside(self, rows: RowNumbers, masks: Mapping[str, Tensor]) -> dict[str, Targets]:
        """The targets by column, with `masks` in the place of those that are kept, which are not fetched."""
        return self._targets.read(rows, masks)

    def expect(self, rows: RowNumbers) -> None:
        """Fetch these rows ahead."""
        nbytes = int(sum(self._index.lengths(rows, mask).sum() for mask in (None, *self.masks)))
        self._prefetcher.expect(rows.tobytes(), lambda: self._fetcher.fetch(rows, self.masks), nbytes)

    def forget(self, rows: RowNumbers) -> None:
        """Let go of rows that were expected and will not be read."""
        self._prefetcher.forget(rows.tobytes())

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """The rows' pixels, fetched and decoded."""
        name = rows.tobytes()
        columns = self._prefetcher.take(name, lambda: self._fetcher.fetch(rows, self.masks))
        if self.masks:
            self._taken[name] = columns
            while len(self._taken) > _MOST_TAKEN:
                self._taken.pop(next(iter(self._taken)), None)
        self._refuse_lengths(rows, columns[None])
        self._verify(rows, columns[None].__getitem__)
        pixels = self._allocate(rows, self._index.sizes(rows), buffers)
        begin = perf_counter()
        fill = self._copy if self._index.encoding == "raw" else self._decode
        fill(rows, columns[None], views(pixels))
        decoding = 0.0 if self._index.encoding == "raw" else perf_counter() - begin
        return DecodedPixels(pixels, self._index.matrix(rows), decoding)

    def confirm(self) -> None:
        """Nothing to confirm: bytes that were fetched stay."""

    def _refuse_lengths(self, rows: RowNumbers, data: Sequence[Bytes], mask: str | None = None) -> None:
        """Raise `DamagedRowError` where other bytes came than the index tells of: they may come from a stranger."""
        lengths = self._index.lengths(rows, mask).tolist()
        for row, source, length in zip(rows.tolist(), data, lengths, strict=True):
            if len(source) != length:
                raise self._index.damage(row, f"{len(source)} bytes came of its {length}")

    def _copy(self, rows: RowNumbers, data: Sequence[Bytes], images: list[NDArray[np.uint8]]) -> None:
        copy_all([image.reshape(-1) for image in images], [np.asarray(source) for source in data])

    def _decode(self, rows: RowNumbers, data: Sequence[Bytes], images: list[NDArray[np.uint8]]) -> None:
        for row, source, image in zip(rows.tolist(), data, images, strict=True):
            self._index.decode(row, source, image)

    def _mask_bytes(self, rows: RowNumbers, mask: str) -> Sequence[Bytes]:
        name = rows.tobytes()
        columns = self._taken.get(name) or self._fetcher.fetch(rows, self.masks)
        if mask == self.masks[-1]:
            self._taken.pop(name, None)
        self._refuse_lengths(rows, columns[mask], mask)
        return columns[mask]
