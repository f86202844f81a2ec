"""What a loader reads: rows with pixels, keys and targets, wherever they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...transforms.draw import hash_keys
from ...transforms.warp.buffers import Buffers, copy_all
from ...transforms.warp.packed import Packed
from ..cache.selection import Selection

RowNumbers = NDArray[np.int64]
Kind = Literal["category", "multicategory", "mask", "points", "boxes"]


class Pixels(NamedTuple):
    """Images of a batch, dense `uint8[N, H, W, 3]` or packed, and float64 `[N, 3, 3]` from them to the original."""

    images: Tensor | Packed
    matrix: NDArray[np.float64]


class DecodedPixels(Pixels):
    """Pixels that had to be decoded: `decoding` is how many seconds of their reading that took."""

    decoding: float

    def __new__(cls, images: Tensor | Packed, matrix: NDArray[np.float64], decoding: float) -> Self:
        """Make the pair, with this attribute."""
        self = super().__new__(cls, images, matrix)
        self.decoding = decoding
        return self


@dataclass(frozen=True)
class Targets:
    """The targets of a batch, in pixels of the rows where they lie in the picture.

    By `kind`, `values` is int64 `[N]` (category), float32 `[N, c]` (multicategory), or a list of one tensor a row:
    masks `[h, w]`, points `[k, 2]`, boxes `[k, 4]`.
    """

    kind: Kind
    values: Tensor | list[Tensor]


@runtime_checkable
class Rows(Protocol):
    """Numbered rows that can be read in any order, by several threads at once."""

    @property
    def fingerprint(self) -> str:
        """A name for the rows' content: equal where a loader's state may be moved over."""

    def __len__(self) -> int: ...

    def select(self, split: str | None) -> RowNumbers | Selection | None:
        """The rows of a split, None for all rows; raises UsageError for a split that is not there."""

    def find(self, key: str) -> int:
        """The row number of a key; raises UsageError where there is none."""

    def keys(self, rows: RowNumbers) -> list[str]:
        """The keys of the rows of these numbers."""

    def key_hashes(self, rows: RowNumbers) -> NDArray[np.uint64]:
        """The hashes of the rows' keys, from which all draws follow."""

    def targets(self, rows: RowNumbers) -> Mapping[str, Targets]:
        """The rows' targets by name; empty where the rows have no label."""

    def expect(self, rows: RowNumbers) -> None:
        """Prepare for reading these rows next."""

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """The rows' pixels in memory of `buffers`, or where they lie if `in_place` is allowed and possible.

        `DecodedPixels` where it is known how long they were decoded: the loader's statistics then tell it from reading.
        """

    def confirm(self) -> None:
        """Raise `CacheError` where bytes that were read so far had gone before they were used."""


@runtime_checkable
class ForgettingRows(Protocol):
    """Rows that hold what was expected: `ahead` is how many batches a loader should expect beyond those it makes."""

    ahead: int

    def forget(self, rows: RowNumbers) -> None:
        """Let go of rows that were expected and will not be read."""


class MemoryRows:
    """Rows held in memory: images `uint8[h, w, 3]` of any sizes, their keys, and a class number for each.

    >>> rows = MemoryRows([np.zeros((2, 2, 3), np.uint8)] * 2, keys=["a", "b"], labels=[1, 0])
    >>> len(rows), rows.find("b"), rows.targets(np.array([1]))["y"].values
    (2, 1, tensor([0]))
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        keys: Sequence[str] | None = None,
        labels: Sequence[int] | None = None,
        splits: Sequence[str] | None = None,
    ) -> None:
        self._images = [np.ascontiguousarray(image) for image in images]
        self._keys = [str(i) for i in range(len(images))] if keys is None else list(keys)
        for name, column in (("keys", self._keys), ("labels", labels), ("splits", splits)):
            if column is not None and len(column) != len(images):
                raise UsageError(f"{name} must have one entry per image ({len(images)}), but got {len(column)}")
        self._hashes = hash_keys(self._keys)
        self._numbers = {key: row for row, key in enumerate(self._keys)}
        self._labels = None if labels is None else torch.as_tensor(labels, dtype=torch.int64)
        self._splits = None if splits is None else np.array(splits)

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of keys, sizes and pixels."""
        digest = blake2b(digest_size=16)
        for key, image in zip(self._keys, self._images, strict=True):
            digest.update(f"{key}:{image.shape}".encode() + image.tobytes())
        return digest.hexdigest()

    def select(self, split: str | None) -> RowNumbers | None:
        """The row numbers of a split."""
        if split is None:
            return None
        names = [] if self._splits is None else np.unique(self._splits).tolist()
        if split not in names:
            raise UsageError(f"split must be one of {names}, but got {split!r}")
        return np.flatnonzero(self._splits == split)

    def find(self, key: str) -> int:
        """The row number of a key."""
        if key not in self._numbers:
            raise UsageError(f"No row has the key {key!r}")
        return self._numbers[key]

    def keys(self, rows: RowNumbers) -> list[str]:
        """The keys of the rows of these numbers."""
        return [self._keys[row] for row in rows]

    def key_hashes(self, rows: RowNumbers) -> NDArray[np.uint64]:
        """The hashes of the rows' keys."""
        return self._hashes[rows]

    def targets(self, rows: RowNumbers) -> dict[str, Targets]:
        """The class numbers as `y`, if there are any."""
        return {} if self._labels is None else {"y": Targets("category", self._labels[torch.from_numpy(rows)])}

    def expect(self, rows: RowNumbers) -> None:
        """Nothing to prepare: all rows are in memory."""

    def confirm(self) -> None:
        """Nothing to confirm: memory stays."""

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> Pixels:
        """Copies of the images."""
        images = [self._images[row] for row in rows]
        return Pixels(gather(images, buffers), np.tile(np.eye(3), (len(rows), 1, 1)))


def gather(images: Sequence[NDArray[np.uint8]], buffers: Buffers) -> Tensor | Packed:
    """Images `uint8[h, w, 3]` copied into one buffer: dense where their sizes agree, else packed."""
    out = allocate(np.array([image.shape[:2] for image in images], np.int32).reshape(-1, 2), buffers)
    copy_all(views(out), [np.ascontiguousarray(image) for image in images])
    return out


def allocate(sizes: NDArray[np.int32], buffers: Buffers) -> Tensor | Packed:
    """Memory for images of `sizes` `int32[N, 2]` (height, width): dense where they agree, else packed."""
    if len(sizes) and (sizes == sizes[0]).all():
        return buffers.empty((len(sizes), int(sizes[0, 0]), int(sizes[0, 1]), 3))
    lengths = sizes.astype(np.int64).prod(1) * 3
    ends = np.cumsum(lengths)
    data = buffers.empty((int(ends[-1]) if len(ends) else 0,))
    return Packed(data, torch.from_numpy(ends - lengths), torch.from_numpy(sizes.astype(np.int32)))


def views(images: Tensor | Packed) -> list[NDArray[Any]]:
    """Each image of a batch on the CPU as an array `uint8[h, w, 3]` that shares its memory."""
    if isinstance(images, Tensor):
        return list(images.numpy())
    data, starts = images.data.numpy(), images.offsets.tolist()
    return [data[o : o + h * w * 3].reshape(h, w, 3) for o, (h, w) in zip(starts, images.sizes.tolist(), strict=True)]
