"""A finished cache, opened to be read."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...errors import CacheError, UsageError
from . import format2
from .files import ReadFiles
from .footer import COMMIT, is_format2, parse_footer, read_commit, read_footer
from .index import Index, fitting, open_index
from .mapping import MappedFiles, map_limit
from .open_cache import OpenCache
from .recipe import fingerprint
from .regular_files import read_regular
from .row_index import RowIndex
from .row_store import RowStore
from .schema import REJECTED, index_schema, small_fields, target_fields
from .validation import tests_of
from .verification import list_damages, part_damages, rejections_bytes

_ADDRESS = re.compile(r"grpc(\+\w+)?:/")  # also of a `Path` made of an address
_MOST_BYTES = 1 << 46  # half of the addresses that a process has


class Cache(OpenCache):
    """A cache that `presize` has finished; `Cache.open(path)`.

    `parts` are the part files by number, and `files` these files, held as they are.
    """

    def __init__(self, path: Path, small: Index, footer: dict[str, Any], files: MappedFiles | ReadFiles) -> None:
        super().__init__(small, footer)
        self.path, self.files = path, files
        self.parts = files.states.paths
        self._store = RowStore(small, files, self.encoding, self.splits)
        self._order: NDArray[np.int64] | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Cache":
        """Open the cache in a folder. Raises `CacheError` where there is none, or not one that this version reads.

        The rows that are opened stay as they are, whatever is written to the folder later.
        """
        folder = Path(path)
        if _ADDRESS.match(str(path)):
            raise UsageError(
                f"path must be the folder of a cache, but got the address {path}: connect(address) opens it"
            )
        if is_format2(folder):
            footer, small = format2.read_cache(folder)
            return cls(folder, small, footer, _parts(folder, footer))
        while True:
            data = read_commit(folder)
            try:
                footer = parse_footer(data, folder / COMMIT)
                schema = index_schema(small_fields(target_fields(footer["targets"], footer["splits"] is not None)))
                index = folder / footer["index"]["name"]
                small = open_index(index, footer["index"], footer["rows"], schema, tests_of(footer))
                return cls(folder, small, footer, _parts(folder, footer))
            except CacheError:
                if read_commit(folder) == data:
                    raise  # else another cache has just taken its place: open that one

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.path)

    @property
    def row_index(self) -> RowIndex:
        """What the index says of the rows."""
        return self._store

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r}, {len(self)} rows, {self.encoding})"

    def bytes_of(self, number: int, mask: str | None = None) -> bytes:
        """The bytes of a row's pixels, or of one of its masks; `CacheError` where they are damaged."""
        return self._store.read(number, mask)

    def in_order(self, keys: Sequence[str]) -> "Cache":
        """The same cache with its rows in the order of `keys`; those that it does not hold are left out."""
        numbers = {key: row for row, key in enumerate(self.index.column("key").to_pylist())}
        order = np.array([numbers[key] for key in keys if key in numbers], np.int64)
        if not len(order):
            raise UsageError(f"none of the {len(keys)} keys is in {self!r}: give it a cache of its own")
        if len(order) == len(self) and (order == np.arange(len(self))).all():
            return self
        return self._in_row_order(order)

    def _in_row_order(self, order: NDArray[np.int64]) -> "Cache":
        small = self.small.take(order)
        splits = {name: int(sum(some.sum() for some in small["split"].equal(name))) for name in self.splits} or None
        other = Cache(self.path, small, self.footer | {"splits": splits, "rows": len(order)}, self.files)
        other.fingerprint, other._order = fingerprint([self.fingerprint, order.tolist()]), order
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self._files(), self._order)

    def _files(self) -> list[str]:
        return [*self.footer["parts"], self.footer.get("index", {}).get("name", "")]

    def rejected(self) -> list[dict[str, Any]]:
        """The files that became no row: `key`, `reason`, `bytes`, `sha256`.

        The list is read when it is asked for: raises `CacheError` where it is damaged, or where another cache has taken
        the place of this one.
        """
        try:
            return self._rejections()
        except CacheError:
            self._refuse_replaced()
            raise

    def _rejections(self) -> list[dict[str, Any]]:
        entry = self.footer.get("rejections", {"name": format2.REJECTIONS})
        path = self.path / entry["name"]
        data = read_regular(path) if self.footer["format"] == 2 else rejections_bytes(self.path, entry)
        try:
            table = pq.read_table(pa.BufferReader(data))
            rows: list[dict[str, Any]] = fitting(table, self.footer["rejected"], REJECTED, path).to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CacheError(f"{path} cannot be read ({str(error).splitlines()[0]}): run presize again") from error
        return rows

    def verify(self) -> Iterator[str]:
        """Every byte held against its checksum: a line for each row, part and block of the index that is damaged.

        Raises `CacheError` where another cache has taken the place of this one meanwhile: its files may be gone.
        """
        for line in self._damages():
            self._refuse_replaced()
            yield line

    def _refuse_replaced(self) -> None:
        if self.is_replaced():
            raise CacheError(f"{self.path} is another cache by now than the one that was opened: open it again")

    def is_replaced(self) -> bool:
        """Whether another cache has taken the place of this one since it was opened."""
        try:
            return self.footer["format"] > 2 and read_footer(self.path) != self.footer
        except CacheError:  # damaged, or gone: there is no other
            return False

    def _damages(self) -> Iterator[str]:
        intact = True
        if self.footer["format"] > 2:
            for line in list_damages(self.path, self.footer):
                intact = False
                yield line
        if intact:  # else nothing tells where the rows lie
            for number, (part, size) in enumerate(zip(self.parts, self.footer["part_bytes"], strict=True)):
                yield from part_damages(part, number, size, self._store, self.footer["format"] > 2)


def _reopen(path: Path, files: list[str], order: NDArray[np.int64] | None) -> Cache:
    """A cache that was pickled; `CacheError` where another one has taken its place."""
    cache = Cache.open(path)
    if cache._files() != files:
        raise CacheError(f"{path} is another cache by now than the one that was opened: open it again")
    return cache if order is None else cache._in_row_order(order)


def _parts(folder: Path, footer: dict[str, Any]) -> MappedFiles | ReadFiles:
    """The part files, held as they are."""
    return files_of([folder / name for name in footer["parts"]], "auto", footer["part_bytes"])


def files_of(parts: list[Path], reading: str, sizes: list[int] | None = None) -> MappedFiles | ReadFiles:
    """The parts, mapped or to be read; `auto` maps them while they are few enough and fit into the addresses."""
    if reading == "map":
        return MappedFiles(parts, sizes)
    files = ReadFiles(parts, sizes)
    if reading == "pread" or len(parts) > map_limit() // 2 or int(files.sizes.sum()) > _MOST_BYTES:
        return files
    return MappedFiles(parts, sizes)
