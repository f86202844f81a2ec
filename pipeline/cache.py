"""A finished cache, opened to be read."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import CacheError, UsageError
from ..transforms.decoding import Matrix, Pixels
from ..transforms.draw import hash_key
from .placing import PLACES
from .store.encodings import Encoding, decode_mask, decode_row
from .store.footer import INDEX, MAPPED_INDEX, REJECTED_FILE, read_footer
from .store.parts import checksum, row_bytes
from .store.recipe import canonical, fingerprint
from .store.schema import FOOTER


class Row(NamedTuple):
    """One row: its pixels `uint8[h, w, 3]`, and the matrix from them to the pixels of the original file.

    `places` has, by column and in these pixels, a mask `[h, w]`, points `float32[n, 2]` and boxes `float32[n, 4]`.
    """

    key: str
    pixels: Pixels
    label: str | int | list[str | int] | None
    split: str | None
    matrix: Matrix
    places: dict[str, NDArray[Any]]


class Cache:
    """A cache that `presize` has finished; `Cache.open(path)`.

    `index` is a table of every column but the pixels, in the order of the rows (columns: `store/schema.py`); `parts`
    the part files by number; `targets` by name what the columns of targets are, in the order of a batch: a mapping with
    `kind` and `vocab`; `vocab` the names of the classes by number, None without labels; `splits` how many rows each
    split has; `encoding` how the pixels are kept; `fingerprint` names the settings that decide the pixels.
    """

    def __init__(self, path: Path, index: pa.Table, said: dict[str, Any]) -> None:
        self.path, self.index, self.said = path, index, said
        self.parts = [path / name for name in said["parts"]]
        self.targets: dict[str, dict[str, Any]] = {target["name"]: target for target in said["targets"]}
        self.vocab: list[str | int] | None = said["vocab"]
        self.splits: dict[str, int] = said["splits"] or {}
        self.encoding: Encoding = said["pixels"]["encoding"]
        self.fingerprint: str = said["fingerprint"]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Cache":
        """Open the cache in a folder. Raises `CacheError` where there is none, or not one that this version reads."""
        folder = Path(path)
        said = read_footer(folder)
        cache = cls(folder, read_index(folder, said).replace_schema_metadata(None), said)
        for part, size in zip(cache.parts, said["part_bytes"], strict=True):
            found = part.stat().st_size if part.exists() else None
            if found != size:
                seen = "is missing" if found is None else f"has {found:,} bytes"
                raise CacheError(
                    f"{part} {seen}, and the index says {size:,}: run presize again, it makes anew what is not whole"
                )
        return cache

    def __len__(self) -> int:
        count: int = self.index.num_rows
        return count

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r}, {len(self)} rows, {self.encoding})"

    def rows(self, split: str | None = None) -> NDArray[np.int64]:
        """The numbers `int64[n]` of the rows of a split, or of all; `UsageError` for a split that is not there."""
        if split is None:
            return np.arange(len(self))
        if split not in self.splits:
            known = ", ".join(self.splits) or "none, the cache was made with split none"
            raise UsageError(f"split must be one of the cache's ({known}), but got {split!r}")
        found: NDArray[np.int64] = np.flatnonzero(pc.equal(self.index.column("split"), split).to_numpy())
        return found

    def __getitem__(self, key: str) -> Row:
        """The row of a key, decoded. Raises `UsageError` where there is none, `CacheError` where it is damaged."""
        hashes = self.index.column("key_hash").to_numpy()
        for number in np.flatnonzero(hashes == hash_key(key)).tolist():
            if self.index.column("key")[number].as_py() == key:
                return self.row(number)
        raise UsageError(f"key must be one of the cache's, but {key!r} is not: keys are paths relative to the source")

    def row(self, number: int) -> Row:
        """The row of a number, decoded. Raises `CacheError` where it is damaged."""
        columns = self.columns(number)
        data = self.bytes_of(columns)
        pixels = decode_row(data, self.encoding, columns["height"], columns["width"])
        matrix = np.array(columns["matrix"]).reshape(3, 3)
        label, places = self.names(columns.get("label")), self._places(columns)
        return Row(columns["key"], pixels, label, columns.get("split"), matrix, places)

    def _places(self, columns: dict[str, Any]) -> dict[str, NDArray[Any]]:
        places: dict[str, NDArray[Any]] = {}
        for name, target in self.targets.items():
            if target["kind"] == "mask":
                places[name] = decode_mask(self.bytes_of(columns, name))
            elif target["kind"] in PLACES:
                width = {"points": 2, "boxes": 4}[target["kind"]]
                places[name] = np.array(columns[name], np.float32).reshape(-1, width)
        return places

    def columns(self, number: int) -> dict[str, Any]:
        """What the index says of a row."""
        return {name: self.index.column(name)[number].as_py() for name in self.index.column_names}

    def bytes_of(self, columns: dict[str, Any], mask: str | None = None) -> bytes:
        """The bytes of a row's pixels, or of a mask, given its columns of the index; `CacheError` if damaged."""
        part, prefix = self.parts[columns["part"]], "" if mask is None else f"{mask}_"
        data = row_bytes(part, columns[f"{prefix}offset"], columns[f"{prefix}length"])
        if checksum(data) != columns[f"{prefix}checksum"]:
            what = "its checksum" if mask is None else f"the checksum of its {mask}"
            raise CacheError(f"row {columns['key']!r} of {part} is damaged: {what} is not that of the index")
        return data

    @property
    def masks(self) -> list[str]:
        """The names of the columns of masks."""
        return [name for name, target in self.targets.items() if target["kind"] == "mask"]

    def in_order(self, keys: Sequence[str]) -> "Cache":
        """The same cache with its rows in the order of `keys`; those that it does not hold are left out."""
        numbers = {key: row for row, key in enumerate(self.index.column("key").to_pylist())}
        order = np.array([numbers[key] for key in keys if key in numbers], np.int64)
        if not len(order):
            raise UsageError(f"none of the {len(keys)} keys is in {self!r}: give it a cache of its own")
        if len(order) == len(self) and (order == np.arange(len(self))).all():
            return self
        other = Cache(self.path, self.index.take(pa.array(order)).combine_chunks(), self.said)
        other.fingerprint = fingerprint([self.fingerprint, order.tolist()])
        return other

    def names(self, label: int | list[int] | None) -> str | int | list[str | int] | None:
        """A label, or several, by name."""
        if label is None or self.vocab is None:
            return None
        return [self.vocab[one] for one in label] if isinstance(label, list) else self.vocab[label]

    def rejected(self) -> list[dict[str, Any]]:
        """The files that became no row: `key`, `reason`, `bytes`, `sha256`."""
        found: list[dict[str, Any]] = pq.read_table(self.path / REJECTED_FILE, partitioning=None).to_pylist()
        return found

    def verify(self) -> Iterator[str]:
        """Every row's bytes held against their checksums: a line for each row that is damaged."""
        for number in range(len(self)):
            columns = self.columns(number)
            try:
                for mask in (None, *self.masks):
                    self.bytes_of(columns, mask)
            except (CacheError, OSError) as error:
                yield f"row {number}: {error}"


def read_index(folder: Path, said: dict[str, Any]) -> pa.Table:
    """The index: mapped, so that opening takes the same time and memory at any length; decoded where that file is
    missing, or was left by a commit that did not end.
    """
    try:
        mapped = pa.ipc.open_file(pa.memory_map(str(folder / MAPPED_INDEX)))
    except (OSError, pa.ArrowInvalid):
        return pq.read_table(folder / INDEX, partitioning=None)
    if (mapped.schema.metadata or {}).get(FOOTER) != canonical(said).encode():
        return pq.read_table(folder / INDEX, partitioning=None)
    return mapped.read_all()
