"""Samples whose pixels come from a cache: presized once, found again by their keys.

A cache made by a DataBlock holds the labels and splits that it had then, for those who read the cache alone; the
DataBlock itself looks its own up anew, so that changing a label or a split never touches a pixel.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError, UsageError
from ..transforms.resizing import Sizing
from .cache import Cache
from .loading.buffers import Buffers
from .loading.cached_rows import CacheRows
from .loading.decoded_rows import DecodedRows
from .loading.rows import Pixels, RowNumbers
from .presizing import presize
from .sample_rows import Presized, sample_targets
from .samples import Samples
from .spec import to_spec
from .splits import Given
from .store.sources import Item


@dataclass(frozen=True)
class SampleSource:
    """The pictures of samples as a source to presize."""

    samples: Samples
    keys: tuple[str, ...]
    address: str

    def items(self) -> list[Item]:
        """All of them, sorted by key."""
        found = [
            Item(key, row, self.samples.items[row], _stamp(self.samples.raw(row, 0)))
            for row, key in enumerate(self.keys)
        ]
        return sorted(found)

    def read(self, place: Any) -> bytes:
        """The bytes of a picture."""
        value = self.samples.raw(place, 0)
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str | os.PathLike):
            raise UsageError(f"a cache needs pictures from files or bytes, but got a {type(value).__name__}")
        return Path(value).read_bytes()

    def where(self) -> str:
        """The absolute address of the source."""
        return self.address


def _stamp(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, str | os.PathLike):
        return None
    stat = os.stat(value)
    return stat.st_size, stat.st_mtime_ns


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


def cached_rows(
    samples: Samples, keys: Sequence[str], splits: Sequence[str | None], cache: Path, sizing: Sizing, address: str
) -> CachedSampleRows:
    """The rows of `samples`, presized into the folder `cache` as far as they are not there already."""
    labels = samples.getters[1] if len(samples.blocks) > 1 and "category" in samples.blocks[1].kind else None
    presize(
        SampleSource(samples, tuple(keys), address),
        cache,
        sizing.size,
        label=labels if can_write(labels) else None,
        split=Given(tuple(zip(keys, splits, strict=True))),
        quiet=False,
    )
    return CachedSampleRows(samples, keys, splits, Cache.open(cache))


def can_write(function: Any) -> bool:
    """Whether a labeller can be written to JSON; the labels of one that cannot are not kept in the cache."""
    try:
        to_spec(function)
    except SpecError:
        return False
    return True
