"""Rows of a cache: pixels at the byte offsets of its index, memory-mapped or read."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...errors import CacheError, DamagedRowError, UsageError
from ...transforms.draw import hash_key
from ...transforms.warp.buffers import Buffers
from ...transforms.warp.packed import Packed
from ..cache.checksums import checksum
from ..cache.columns import distinct
from ..cache.files import ReadFiles
from ..cache.index import Index
from ..cache.mapping import MappedFiles
from ..cache.reader import Cache
from ..cache.selection import Selection
from .cached_targets import CachedTargets
from .rows import Pixels, RowNumbers, Rows, Targets, allocate, views

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a POSIX system: whether a disk was read is not known there, and nothing is asked for ahead
    resource = None

_MOST_PIXELS = 1 << 31  # bytes of a row's pixels

Reading = Literal["auto", "map", "pread"]
Checking = Literal["first", "always", "never"]


class Stored(Protocol):
    """What rows need of a cache."""

    small: Index
    files: MappedFiles | ReadFiles
    targets: dict[str, dict[str, Any]]
    fingerprint: str
    parts: list[Path]

    @property
    def encoding(self) -> str:
        """How the pixels are kept."""

    @property
    def splits(self) -> Mapping[str, int]:
        """How many rows each split has."""

    def __len__(self) -> int: ...


class Places(NamedTuple):
    """Where rows lie: part, byte offset and length in it, `int64[N]`; height and width, `int32[N, 2]`."""

    part: NDArray[np.int64]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    size: NDArray[np.int32]


class CacheRows:
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
        cache: Stored,
        *,
        reading: Reading = "auto",
        checking: Checking = "first",
        targets: Sequence[str] | None = None,
    ) -> None:
        if reading not in ("auto", "map", "pread"):
            raise UsageError(f"reading must be 'auto', 'map' or 'pread', but got {reading!r}")
        if checking not in ("first", "always", "never"):
            raise UsageError(f"checking must be 'first', 'always' or 'never', but got {checking!r}")
        self._cache, self._checking = cache, checking
        names = ("part", "offset", "length", "height", "width", "key_hash", "matrix", "checksum")
        self._columns = {name: cache.small[name] for name in names}
        # A page of these comes with the first row in it that is read.
        self._checked = np.zeros(0 if checking == "never" else len(cache), bool)
        self._files = _read_as(reading, cache)
        chosen = _chosen(cache.targets, targets)
        self._targets = CachedTargets(cache.small, chosen, self._files, checking != "never", self._damaged)
        self._settings: dict[str, Any] = {"reading": reading, "checking": checking, "targets": targets}
        self._cold = True  # until a batch came without a byte from the disk

    def __len__(self) -> int:
        return len(self._cache)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(CacheRows, **self._settings), (self._cache,)

    @property
    def fingerprint(self) -> str:
        """A hash of the cache's settings and of its parts' names, which hold a digest of what is in them."""
        names = "/".join([self._cache.fingerprint, *(part.name for part in self._cache.parts)])
        return blake2b(names.encode(), digest_size=16).hexdigest()

    def select(self, split: str | None) -> Selection | None:
        """The rows of a split."""
        if split is None:
            return None
        if split not in self._cache.splits:
            known = ", ".join(self._cache.splits) or "none, the cache was made with split none"
            raise UsageError(f"split must be one of the cache's ({known}), but got {split!r}")
        selection = Selection(self._cache.small["split"].equal(split))
        said = self._cache.splits[split]
        if len(selection) != said:
            raise CacheError(f"split {split!r} of the cache has {len(selection)} rows, and its footer says {said}")
        return selection

    def find(self, key: str) -> int:
        """The row number of a key."""
        for row in self._columns["key_hash"].where(np.uint64(hash_key(key))).tolist():
            if self.keys(np.array([row])) == [key]:
                return int(row)
        raise UsageError(f"No row of the cache has the key {key!r}")

    def keys(self, rows: RowNumbers) -> list[str]:
        """The rows' keys."""
        keys: list[str] = self._cache.small["key"][rows].tolist()
        return keys

    def key_hashes(self, rows: RowNumbers) -> NDArray[np.uint64]:
        """The hashes of the rows' keys."""
        return self._columns["key_hash"][rows]

    def targets(self, rows: RowNumbers) -> dict[str, Targets]:
        """The targets by column; those that lie in the picture in its pixels."""
        return self._targets[rows]

    def expect(self, rows: RowNumbers) -> None:
        """Ask the system to read these rows ahead, unless the last batch came out of the page cache."""
        if self._cold:
            places = self._places(rows)
            self._files.expect(places.part, places.offset, places.length)

    def warm_up(self) -> None:
        """Read all part files once, one behind the other, so that they are in the page cache in order."""
        self._files.warm_up()

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """The rows' pixels: copied, decoded, or left where they lie in the mapped files."""
        before = _blocks_read()
        places = self._places(rows)
        self._files.states.check(distinct(places.part))
        matrix = self._columns["matrix"][rows].reshape(-1, 3, 3)
        if in_place and self._cache.encoding == "raw" and isinstance(self._files, MappedFiles):
            pixels: Tensor | Packed = self._in_place(rows, places, self._files)
        else:
            try:
                pixels = allocate(places.size, buffers)
            except MemoryError:
                most = int(places.size.prod(1).argmax())
                raise self._damaged(int(rows[most]), "there is no memory for so large a picture") from None
            fill = self._copy if self._cache.encoding == "raw" else self._decode
            fill(rows, places, views(pixels))
        self._cold = _blocks_read() > before
        return Pixels(pixels, matrix)

    def confirm(self) -> None:
        """Raise CacheError where bytes were read that are no longer there."""
        self._files.confirm()
        self._cache.small.confirm()

    def _places(self, rows: RowNumbers) -> Places:
        c = self._columns
        size = np.stack([c["height"][rows], c["width"][rows]], -1).astype(np.int32)
        places = Places(c["part"][rows].astype(np.int64), c["offset"][rows], c["length"][rows], size)
        outside = (places.offset < 0) | (places.offset + places.length > self._files.sizes[places.part])
        lengths = size.astype(np.int64).prod(1) * 3
        outside |= (places.length != lengths) if self._cache.encoding == "raw" else (lengths > _MOST_PIXELS)
        if outside.any():
            bad = int(rows[outside][0])
            raise self._damaged(bad, "the index places it outside of its part, or gives it another size")
        return places

    def _in_place(self, rows: RowNumbers, places: Places, files: MappedFiles) -> Packed:
        for i in self._unchecked(rows):
            self._verify(int(rows[i]), files.get(*self._place(places, i)))
        starts = files.starts[places.part] + places.offset
        return Packed(torch.from_numpy(files.data), torch.from_numpy(starts), torch.from_numpy(places.size))

    def _copy(self, rows: RowNumbers, places: Places, images: list[NDArray[np.uint8]]) -> None:
        flat = [image.reshape(-1) for image in images]
        self._files.fill(flat, places.part, places.offset)
        for i in self._unchecked(rows):
            self._verify(int(rows[i]), flat[i])

    def _decode(self, rows: RowNumbers, places: Places, images: list[NDArray[np.uint8]]) -> None:
        unchecked = set(self._unchecked(rows))
        for i, (row, image) in enumerate(zip(rows.tolist(), images, strict=True)):
            data = self._files.get(*self._place(places, i))
            if i in unchecked:
                self._verify(row, data)
            try:
                _decode(data, self._cache.encoding, image)
            except (ValueError, OSError) as error:
                raise self._damaged(row, f"it cannot be decoded ({error})") from error

    def _unchecked(self, rows: RowNumbers) -> list[int]:
        """Which of the rows have to be compared with their checksum."""
        if self._checking == "never":
            return []
        unchecked: list[int] = np.flatnonzero(~self._checked[rows]).tolist()
        return unchecked

    @staticmethod
    def _place(places: Places, i: int) -> tuple[int, int, int]:
        return int(places.part[i]), int(places.offset[i]), int(places.length[i])

    def _verify(self, row: int, data: NDArray[np.uint8]) -> None:
        found, expected = checksum(data), int(self._columns["checksum"][np.array([row])][0])
        if found != expected:
            raise self._damaged(row, f"its checksum is {found:08x}, but {expected:08x} was written")
        self._checked[row] = self._checking == "first"

    def _damaged(self, row: int, reason: str) -> DamagedRowError:
        key = self.keys(np.array([row]))[0]
        part = self._cache.parts[int(self._columns["part"][np.array([row])][0])].name
        return DamagedRowError(
            f"Row {key!r} (number {row} in {part}) is damaged: {reason}. Run presize again, "
            "it makes the row anew, or load the cache with damaged='replace'",
            row,
            key,
        )


def _read_as(reading: Reading, cache: Stored) -> MappedFiles | ReadFiles:
    """The parts of a cache, mapped or to be read; those that it holds are the ones that are read."""
    file_map = cache.files
    if reading == "auto" or (reading == "map" and isinstance(file_map, MappedFiles)):
        return file_map
    if reading == "map":
        return MappedFiles(cache.parts, file_map.sizes.tolist())
    return ReadFiles(cache.parts, file_map=file_map) if isinstance(file_map, MappedFiles) else file_map


def rows_of(
    source: Any, *, reading: Reading | None = None, checking: Checking | None = None, warm: bool = False
) -> Rows:
    """The rows of a cache (opened, or the path to one), or `source` itself if it is rows; `warm`: read them once.

    Raises UsageError for anything else, and where a setting of a cache is given for rows of none.
    """
    if isinstance(source, str | PathLike):
        source = Cache.open(source)
    if isinstance(source, Cache):
        source = CacheRows(source, reading=reading or "auto", checking=checking or "first")
        reading = checking = None
    if warm and isinstance(source, CacheRows):
        source.warm_up()
    if not (hasattr(source, "read") and hasattr(source, "key_hashes")):
        raise UsageError(f"cache must be a Cache, the path to one, or rows, but got {type(source).__name__}")
    if reading or checking or (warm and not isinstance(source, CacheRows)):
        raise UsageError(f"reading, checking and warm are settings of a cache, but got {type(source).__name__}")
    rows: Rows = source
    return rows


def _chosen(there: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    missing = [name for name in names or () if name not in there]
    if missing:
        raise UsageError(f"targets must be some of the cache's ({', '.join(there) or 'none'}), but got {missing[0]!r}")
    return {name: there[name] for name in (there if names is None else names)}


def _blocks_read() -> int:
    """How often this thread had to read from a disk so far."""
    if resource is None:
        return 0
    usage = resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF))
    return int(usage.ru_inblock)


def _decode(data: NDArray[np.uint8], encoding: str, out: NDArray[np.uint8]) -> None:
    """Decode into `out` `uint8[h, w, 3]`, without the interpreter's lock."""
    if encoding == "jpeg":
        image = simplejpeg.decode_jpeg(data, "RGB", buffer=out)
        if image.shape != out.shape:
            raise ValueError(f"{image.shape[0]}x{image.shape[1]} pixels instead of {out.shape[0]}x{out.shape[1]}")
        return
    with Image.open(io.BytesIO(data.data)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    if pixels.shape != out.shape:
        raise ValueError(f"{pixels.shape[0]}x{pixels.shape[1]} pixels instead of {out.shape[0]}x{out.shape[1]}")
    np.copyto(out, pixels)
