"""Rows of a cache: pixels at the byte offsets of its index, memory-mapped or read."""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...transforms.warp.buffers import Buffers
from ...transforms.warp.packed import Packed
from ..cache.checksums import Bytes
from ..cache.columns import distinct
from ..cache.files import ReadFiles
from ..cache.index import Index
from ..cache.mapping import MappedFiles
from ..cache.reader import Cache
from ..cache.row_store import Locations, RowStore
from .indexed_rows import Checking, IndexedCache, IndexedRows
from .rows import DecodedPixels, Pixels, RowNumbers, Rows, views

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a POSIX system: there is no count of blocks read, so that no rows are read ahead
    resource = None

_QUIET = 16  # batches in a row without a byte from the disk, after which nothing is asked for ahead

Reading = Literal["auto", "map", "pread"]


class StoredBytes(NamedTuple):
    """The bytes of rows as they are kept: row `i` is `data[starts[i]:][:lengths[i]]`."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def row(self, i: int) -> NDArray[np.uint8]:
        """The bytes of the i-th row."""
        start = int(self.starts[i])
        return self.data[start : start + int(self.lengths[i])]


class StoredCache(IndexedCache, Protocol):
    """What `CacheRows` needs of an opened cache."""

    small: Index
    files: MappedFiles | ReadFiles
    parts: list[Path]


class CacheRows(IndexedRows):
    """The rows of an opened cache, for a loader.

    `reading="map"` maps the part files, and lets a warp on the CPU read them in place; `"pread"` copies them, which
    is faster from a disk when nothing is in the page cache; `"auto"` maps as long as the system maps so many files.
    `checking` says when a row's checksum is compared: the `first` time that it is read, `always` or `never`.
    `targets` names the columns of targets that are read, all of them if it is not given.
    Raises CacheError where a part is missing or was changed, and DamagedRowError for a row whose bytes are not those
    that were written.
    """

    def __init__(
        self,
        cache: StoredCache,
        *,
        reading: Reading = "auto",
        checking: Checking = "first",
        targets: Sequence[str] | None = None,
    ) -> None:
        if reading not in ("auto", "map", "pread"):
            raise UsageError(f"reading must be 'auto', 'map' or 'pread', but got {reading!r}")
        self._cache = cache
        self._files = _files_for(reading, cache)
        self._store = RowStore(cache.small, self._files, cache.encoding, cache.splits)
        super().__init__(self._store, cache, checking, targets)
        self._settings: dict[str, Any] = {"reading": reading, "checking": checking, "targets": targets}
        self._blocks = 0  # read by this process from the disk when the last batch had come
        self._quiet = 0  # batches in a row for which that was not more than before

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(CacheRows, **self._settings), (self._cache,)

    @property
    def _cold(self) -> bool:
        """Whether bytes come from the disk; some batches can do without, since what comes for one brings others."""
        return self._quiet < _QUIET

    def expect(self, rows: RowNumbers) -> None:
        """Ask the system to read these rows ahead, unless all comes out of the page cache."""
        if self._cold:
            self._files.expect(*self._store.locations(rows))

    def _bring_in(self, locations: Locations) -> None:
        """Read rows into memory while bytes come from the disk; else who decodes, warps or sends them would wait."""
        blocks = blocks_read()
        self._blocks, self._quiet = blocks, 0 if blocks > self._blocks else self._quiet + 1
        if self._cold and isinstance(self._files, MappedFiles):
            self._files.bring_in(*locations)

    def warm_up(self) -> None:
        """Read all part files once, one behind the other, so that they are in the page cache in order."""
        self._files.warm_up()

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """The rows' pixels: copied, decoded, or left where they lie in the mapped files."""
        decoding, store = 0.0, self._store
        locations = store.locations(rows)
        sizes = store.sizes(rows)
        self._files.states.check(distinct(locations.part))
        self._bring_in(locations)
        if in_place and store.encoding == "raw" and isinstance(self._files, MappedFiles):
            pixels: Tensor | Packed = self._in_place(rows, locations, sizes, self._files)
        else:
            pixels = self._allocate(rows, sizes, buffers)
            if store.encoding == "raw":
                self._copy(rows, locations, views(pixels))
            else:
                decoding = self._decode(rows, locations, views(pixels))
        return DecodedPixels(pixels, store.matrix(rows), decoding)

    def stored(self, rows: RowNumbers, mask: str | None = None) -> StoredBytes:
        """The bytes of the rows' pixels, or of their masks, compared with their checksums; where they lie if mapped."""
        store, files = self._store, self._files
        locations = store.locations(rows, mask)
        files.states.check(distinct(locations.part))
        self._bring_in(locations)
        if isinstance(files, MappedFiles):
            data, starts = files.data, files.starts[locations.part] + locations.offset
        else:
            data = np.empty(int(locations.length.sum()), np.uint8)
            starts = np.cumsum(locations.length) - locations.length
            places = zip(starts.tolist(), locations.length.tolist(), strict=True)
            files.fill([data[start : start + length] for start, length in places], locations.part, locations.offset)
        stored = StoredBytes(data, starts, locations.length)
        if mask is None:
            self._verify(rows, stored.row)
        else:
            for i, checksum in enumerate(store.checksums(rows, mask)):
                store.verify(int(rows[i]), stored.row(i), checksum, mask)
        return stored

    def confirm(self) -> None:
        """Raise CacheError where bytes were read that are no longer there."""
        self._store.confirm()

    def _mask_bytes(self, rows: RowNumbers, mask: str) -> Sequence[Bytes]:
        return self._store.bytes_of(rows, mask)

    def _in_place(self, rows: RowNumbers, locations: Locations, sizes: NDArray[np.int32], files: MappedFiles) -> Packed:
        self._verify(rows, lambda i: files.get(*locations.row(i)))
        starts = files.starts[locations.part] + locations.offset
        return Packed(torch.from_numpy(files.data), torch.from_numpy(starts), torch.from_numpy(sizes))

    def _copy(self, rows: RowNumbers, locations: Locations, images: list[NDArray[np.uint8]]) -> None:
        flat = [image.reshape(-1) for image in images]
        self._files.fill(flat, locations.part, locations.offset)
        self._verify(rows, flat.__getitem__)

    def _decode(self, rows: RowNumbers, locations: Locations, images: list[NDArray[np.uint8]]) -> float:
        """Decode rows once the bytes of all are in memory; returns the seconds that decoding alone took."""
        encoded = self._files.get_all(*locations)
        self._verify(rows, encoded.__getitem__)
        begin = perf_counter()
        for row, data, image in zip(rows.tolist(), encoded, images, strict=True):
            self._store.decode(row, data, image)
        return perf_counter() - begin


def _files_for(reading: Reading, cache: StoredCache) -> MappedFiles | ReadFiles:
    """The files of a cache, mapped or to be read: those that the cache has opened, or others by the same names."""
    file_map = cache.files
    if reading == "auto" or (reading == "map" and isinstance(file_map, MappedFiles)):
        return file_map
    if reading == "map":
        return MappedFiles(cache.parts, file_map.sizes.tolist())
    return ReadFiles(cache.parts, file_map=file_map) if isinstance(file_map, MappedFiles) else file_map


@runtime_checkable
class RowsSource(Protocol):
    """A cache that lies elsewhere, and says itself how it is read."""

    def to_rows(self, checking: Checking, targets: Sequence[str] | None) -> Rows:
        """Its rows for a loader, with the targets of these names, or all of them."""


def rows_of(
    source: Any,
    *,
    reading: Reading | None = None,
    checking: Checking | None = None,
    warm: bool = False,
    targets: Sequence[str] | None = None,
) -> Rows:
    """The rows of a cache (opened, or the path to one), or `source` itself if it is rows; `warm`: read them once.

    Raises UsageError for anything else, and where a setting of a cache is given for rows of none.
    """
    if isinstance(source, str | PathLike):
        source = Cache.open(source)
    if isinstance(source, Cache):
        source = CacheRows(source, reading=reading or "auto", checking=checking or "first", targets=targets)
        reading = checking = None
    elif isinstance(source, RowsSource):
        source = source.to_rows(checking or "first", targets)
        checking = None
    if warm and isinstance(source, CacheRows):
        source.warm_up()
    if not (hasattr(source, "read") and hasattr(source, "key_hashes")):
        raise UsageError(f"cache must be a Cache, the path to one, or rows, but got {type(source).__name__}")
    if reading or checking or (warm and not isinstance(source, CacheRows)):
        raise UsageError(f"reading, checking and warm are settings of a cache, but got {type(source).__name__}")
    rows: Rows = source
    return rows


def blocks_read() -> int:
    """How many blocks of 512 bytes this process had to read from a disk so far, whichever thread it was."""
    return 0 if resource is None else int(resource.getrusage(resource.RUSAGE_SELF).ru_inblock)
