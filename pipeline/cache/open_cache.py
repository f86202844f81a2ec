"""What is the same for a cache in a folder and for one behind an address: an index, a footer, rows one by one."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...transforms.decoding.decode import Matrix, Pixels
from ..dataset.spatial_targets import SPATIAL_KINDS
from .encodings import Encoding
from .index import Index
from .row_index import RowIndex
from .validation import KINDS


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


class OpenCache(ABC):
    """A cache that was opened: `small` are all columns but the pixels (`schema.py`), and `index` is a table of them.

    `targets` says by name what the columns of targets are, in the order of a batch: a mapping with `kind` and `vocab`.
    `vocab` are the names of the classes by number, None without labels, `splits` how many rows each split has,
    `encoding` how the pixels are kept. `fingerprint` names the settings that decide the pixels.
    """

    def __init__(self, small: Index, footer: dict[str, Any]) -> None:
        self.small, self.footer = small, footer
        self.targets: dict[str, dict[str, Any]] = {t["name"]: t for t in footer["targets"] if t["kind"] in KINDS}
        self.vocab: list[str | int] | None = footer["vocab"]
        self.splits: dict[str, int] = footer["splits"] or {}
        self.encoding: Encoding = footer["pixels"]["encoding"]
        self.fingerprint: str = footer["fingerprint"]

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it was opened: a folder, or the address of a service."""

    @property
    @abstractmethod
    def row_index(self) -> RowIndex:
        """What the index says of the rows."""

    @abstractmethod
    def bytes_of(self, number: int, mask: str | None = None) -> bytes:
        """The bytes of a row's pixels, or of one of its masks; `CacheError` where they are damaged."""

    @property
    def index(self) -> pa.Table:
        """The small columns as a table, in the order of the rows; `CacheError` where they are damaged."""
        return self.small.table()

    def __len__(self) -> int:
        return len(self.small)

    def rows(self, split: str | None = None) -> NDArray[np.int64]:
        """The numbers `int64[n]` of the rows of a split, or of all; `UsageError` for a split that is not there."""
        return np.arange(len(self)) if split is None else self.row_index.select(split).rows()

    def __getitem__(self, key: str) -> Row:
        """The row of a key, decoded. Raises `UsageError` where there is none, `CacheError` where it is damaged."""
        return self.row(self.row_index.find(key))

    def row(self, number: int) -> Row:
        """The row of a number, decoded. Raises `CacheError` where it is damaged."""
        columns = self.columns(number)
        pixels, matrix = self.pixels(number), np.array(columns["matrix"]).reshape(3, 3)
        label, places = self.names(columns.get("label")), self._spatial_targets(number, columns)
        return Row(columns["key"], pixels, label, columns.get("split"), matrix, places)

    def pixels(self, number: int) -> Pixels:
        """The pixels `uint8[h, w, 3]` of a row; `CacheError` where it is damaged."""
        return self.row_index.to_pixels(number, self.bytes_of(number))

    def mask(self, number: int, name: str) -> NDArray[Any]:
        """A mask `[h, w]` of a row; `CacheError` where it is damaged."""
        return self.row_index.decode_mask(number, self.bytes_of(number, name), name)

    def columns(self, number: int) -> dict[str, Any]:
        """What the index says of a row."""
        return self.small.row(number)

    def _spatial_targets(self, number: int, columns: dict[str, Any]) -> dict[str, NDArray[Any]]:
        targets: dict[str, NDArray[Any]] = {}
        for name, target in self.targets.items():
            if target["kind"] == "mask":
                targets[name] = self.mask(number, name)
            elif target["kind"] in SPATIAL_KINDS:
                width = {"points": 2, "boxes": 4}[target["kind"]]
                targets[name] = np.array(columns[name], np.float32).reshape(-1, width)
        return targets

    @property
    def masks(self) -> list[str]:
        """The names of the columns of masks."""
        return [name for name, target in self.targets.items() if target["kind"] == "mask"]

    def names(self, label: int | list[int] | None) -> str | int | list[str | int] | None:
        """A label, or several, by name."""
        if label is None or self.vocab is None:
            return None
        return [self.vocab[number] for number in label] if isinstance(label, list) else self.vocab[label]
