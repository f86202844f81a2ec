"""Rows of which an index is at hand, wherever their bytes are: what is the same for all of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...transforms.warp.buffers import Buffers
from ...transforms.warp.packed import Packed
from ..cache.checksums import Bytes
from ..cache.row_index import RowIndex
from ..cache.selection import Selection
from .cache_targets import CacheTargets
from .rows import Pixels, RowNumbers, Targets, allocate

Checking = Literal["first", "always", "never"]


class IndexedCache(Protocol):
    """What `IndexedRows` need of a cache beside its index."""

    @property
    def encoding(self) -> str:
        """How the pixels are kept."""

    @property
    def splits(self) -> Mapping[str, int]:
        """How many rows each split has."""

    @property
    def targets(self) -> Mapping[str, Mapping[str, Any]]:
        """What the columns of targets are, by name."""

    @property
    def fingerprint(self) -> str:
        """The name of the settings that the pixels were made with."""


class IndexedRows(ABC):
    """Rows that an index finds: subclasses say where their bytes come from.

    `checking` says when a row's checksum is compared: the `first` time that it is read, `always` or `never`.
    `targets` names the columns of targets that are read, all of them if it is not given.
    """

    def __init__(self, index: RowIndex, cache: IndexedCache, checking: Checking, targets: Sequence[str] | None) -> None:
        if checking not in ("first", "always", "never"):
            raise UsageError(f"checking must be 'first', 'always' or 'never', but got {checking!r}")
        self._index, self._checking = index, checking
        self.fingerprint = content_fingerprint(cache.fingerprint, index.part_names)
        """A hash of the cache's settings and of its parts' names, which hold a digest of what is in them."""
        # A page of these comes with the first row in it that is read.
        self._verified = np.zeros(0 if checking == "never" else len(index), bool)
        self._targets = CacheTargets(index, _select(cache.targets, targets), self._mask_bytes, checking != "never")

    def __len__(self) -> int:
        return len(self._index)

    def select(self, split: str | None) -> Selection | None:
        """The rows of a split; None for all."""
        return None if split is None else self._index.select(split)

    def find(self, key: str) -> int:
        """The row number of a key."""
        return self._index.find(key)

    def keys(self, rows: RowNumbers) -> list[str]:
        """The keys of the rows of these numbers."""
        return self._index.keys(rows)

    def key_hashes(self, rows: RowNumbers) -> NDArray[np.uint64]:
        """The hashes of the rows' keys."""
        return self._index.columns["key_hash"][rows]

    def targets(self, rows: RowNumbers) -> dict[str, Targets]:
        """The targets by column; those that lie in the picture in its pixels."""
        return self._targets[rows]

    @abstractmethod
    def expect(self, rows: RowNumbers) -> None:
        """Prepare for reading these rows next."""

    @abstractmethod
    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """The rows' pixels in memory of `buffers`, or where they lie if `in_place` is allowed and possible."""

    @abstractmethod
    def _mask_bytes(self, rows: RowNumbers, mask: str) -> Sequence[Bytes]:
        """The bytes of the masks of rows, as they are kept."""

    def _allocate(self, rows: RowNumbers, sizes: NDArray[np.int32], buffers: Buffers) -> Tensor | Packed:
        """Memory for the pixels of rows; a row that is too large for the machine is a damaged one."""
        try:
            return allocate(sizes, buffers)
        except MemoryError:
            row = int(rows[sizes.prod(1).argmax()])
            raise self._index.damage(row, "there is no memory for so large a picture") from None

    def _verify(self, rows: RowNumbers, data: Callable[[int], Bytes]) -> None:
        """Compare those of the rows that must be with their checksums; `data(i)` are the bytes of the i-th."""
        if self._checking == "never":
            return
        indices = np.flatnonzero(~self._verified[rows])
        if not len(indices):
            return
        for i, checksum in zip(indices.tolist(), self._index.checksums(rows[indices]), strict=True):
            row = int(rows[i])
            self._index.verify(row, data(i), checksum)
            self._verified[row] = self._checking == "first"


def content_fingerprint(settings: str, part_names: Sequence[str]) -> str:
    """A name for the content of a cache: a hash of the fingerprint of its settings and of the names of its parts."""
    return blake2b("/".join([settings, *part_names]).encode(), digest_size=16).hexdigest()


def _select(targets: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """The targets of these names, all of them for None."""
    missing = [name for name in names or () if name not in targets]
    if missing:
        choices = ", ".join(targets) or "none"
        raise UsageError(f"targets must be some of the cache's ({choices}), but got {missing[0]!r}")
    return {name: targets[name] for name in (targets if names is None else names)}
