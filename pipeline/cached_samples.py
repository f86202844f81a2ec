"""Samples whose pixels come from a cache: presized once, found again by their keys.

A cache made by a DataBlock holds the labels and splits that it had then, for those who read the cache alone; the
DataBlock itself looks its own up anew, so that changing a label or a split never touches a pixel.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..transforms.buffers import Buffers
from .cache import Cache
from .loading.cached_rows import CacheRows
from .loading.decoded_rows import DecodedRows
from .loading.rows import Pixels, RowNumbers
from .sample_rows import Presized, sample_targets
from .samples import Samples


class CachedSampleRows(DecodedRows):
    """The rows of samples that a cache holds: pixels from it, targets anew; files that it set aside are left out."""

    def __init__(self, samples: Samples, keys: Sequence[str], splits: Sequence[str | None], cache: Cache) -> None:
        numbers = {key: row for row, key in enumerate(cache.index.column("key").to_pylist())}
        held = [row for row, key in enumerate(keys) if key in numbers]
        if not held:
            raise UsageError(f"none of the {len(keys)} items is in {cache!r}: give it a cache of its own")
        self._in_cache = {row: numbers[keys[row]] for row in held}
        self._cache, self._stored = cache, CacheRows(cache)
        targets = sample_targets(samples, keys, self._presized)
        super().__init__(
            held, [keys[row] for row in held], self._one, targets=targets, splits=[splits[row] for row in held]
        )
        self._row_numbers = np.array([self._in_cache[row] for row in held], np.int64)

    def expect(self, rows: RowNumbers) -> None:
        """These rows will be read next."""
        self._stored.expect(self._row_numbers[rows])

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """The rows' pixels, from the cache."""
        return self._stored.read(self._row_numbers[rows], buffers, in_place=in_place)

    def _one(self, sample: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        row = self._cache.row(self._in_cache[sample])
        return row.pixels, row.matrix

    def _presized(self, sample: int) -> Presized:
        said = self._cache.columns(self._in_cache[sample])
        return (said["height"], said["width"]), np.array(said["matrix"], np.float64).reshape(3, 3)
