"""Rows that are decoded from their files at each reading: the same loader without a cache."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DamagedRowError, DecodeError, LabelError, UsageError
from ...transforms.decoding.decode import Picture, decode_pixels
from ...transforms.decoding.picture import Buffer
from ...transforms.decoding.resizing import Sizing, resize
from ...transforms.draw import hash_keys
from ...transforms.warp.buffers import Buffers
from ..dataset.items import relative_key
from .rows import DecodedPixels, Kind, RowNumbers, Targets, gather

Image = NDArray[np.uint8]
Matrix = NDArray[np.float64]


class DecodedRows:
    """Rows that a function makes out of items: `load(item)` gives `uint8[h, w, 3]` and the matrix to the original.

    `targets` maps a name to the kind of a target and a function of the item that gives it as a tensor. A picture
    that cannot be decoded, and a target that does not fit it, is a DamagedRowError when it is read.

    >>> rows = DecodedRows([3, 5], ["a", "b"], lambda n: (np.zeros((n, n, 3), np.uint8), np.eye(3)))
    >>> [image.shape[:2] for image in rows.read(np.array([1, 0]), Buffers(), in_place=False).images]
    [torch.Size([5, 5]), torch.Size([3, 3])]
    """

    def __init__(
        self,
        items: Sequence[Any],
        keys: Sequence[str],
        load: Callable[[Any], tuple[Image, Matrix]],
        *,
        targets: Mapping[str, tuple[Kind, Callable[[Any], Tensor]]] | None = None,
        splits: Sequence[str | None] | None = None,
    ) -> None:
        for name, column in (("keys", keys), ("splits", splits)):
            if column is not None and len(column) != len(items):
                raise UsageError(f"{name} must have one entry per item ({len(items)}), but got {len(column)}")
        self._items, self._keys, self._load = items, list(keys), load
        self._targets = dict(targets or {})
        self._hashes = hash_keys(self._keys)
        self._splits = None if splits is None else np.array([split or "" for split in splits])

    def __len__(self) -> int:
        return len(self._items)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the keys: what is in the files is not known before they are read."""
        return blake2b(self._hashes.tobytes(), digest_size=16).hexdigest()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self._keys)}

    def select(self, split: str | None) -> RowNumbers | None:
        """The row numbers of a split."""
        if split is None:
            return None
        names = [] if self._splits is None else [name for name in np.unique(self._splits).tolist() if name]
        if split not in names:
            raise UsageError(f"split must be one of {names}, but got {split!r}")
        return np.flatnonzero(self._splits == split)

    def find(self, key: str) -> int:
        """The row number of a key."""
        if key not in self._numbers:
            raise UsageError(f"No item has the key {key!r}")
        return self._numbers[key]

    def keys(self, rows: RowNumbers) -> list[str]:
        """The keys of the items of these numbers."""
        return [self._keys[row] for row in rows.tolist()]

    def key_hashes(self, rows: RowNumbers) -> NDArray[np.uint64]:
        """The hashes of the items' keys."""
        return self._hashes[rows]

    def targets(self, rows: RowNumbers) -> dict[str, Targets]:
        """The targets of the items: one tensor for classes, a list of tensors for what lies in the picture."""
        return {name: self._target(kind, read, rows) for name, (kind, read) in self._targets.items()}

    def _target(self, kind: Kind, read: Callable[[Any], Tensor], rows: RowNumbers) -> Targets:
        values = [self._read_target(read, row) for row in rows.tolist()]
        return Targets(kind, torch.stack(values) if kind in ("category", "multicategory") else values)

    def _read_target(self, read: Callable[[Any], Tensor], row: int) -> Tensor:
        try:
            return read(self._items[row])
        except LabelError as error:
            raise self._damage_error(row, error) from error

    def expect(self, rows: RowNumbers) -> None:
        """Nothing to prepare: where the bytes of an item lie is unknown."""

    def confirm(self) -> None:
        """Nothing to confirm: decoded pixels are copies."""

    def read(self, rows: RowNumbers, buffers: Buffers, *, in_place: bool) -> DecodedPixels:
        """The items' pixels, decoded one after the other in this thread."""
        begin = perf_counter()
        pairs = [self._load_row(row) for row in rows.tolist()]
        decoding = perf_counter() - begin
        matrix = np.array([matrix for _, matrix in pairs], np.float64).reshape(-1, 3, 3)
        return DecodedPixels(gather([image for image, _ in pairs], buffers), matrix, decoding)

    def _load_row(self, row: int) -> tuple[Image, Matrix]:
        try:
            return self._load(self._items[row])
        except DecodeError as error:
            raise self._damage_error(row, error) from error

    def _damage_error(self, row: int, error: Exception) -> DamagedRowError:
        key = self._keys[row]
        return DamagedRowError(f"{key!r} {error}: take it out, or load with damaged='replace'", row, key)


def load_picture(source: Path | Buffer, sizing: Sizing | None) -> tuple[Image, Matrix]:
    """The picture in a file, or in its bytes, upright at the size that a cache of this `sizing` keeps; its matrix."""
    return fit(decode_pixels(source, None if sizing is None else sizing.size), sizing)


def fit(picture: Picture, sizing: Sizing | None) -> tuple[Image, Matrix]:
    """A decoded picture upright at the size that `sizing` says, None: as large as it is; its matrix to the file."""
    if sizing is None:
        return np.ascontiguousarray(picture.upright), picture.matrix
    return resize(picture, sizing)


def rows_of_files(
    paths: Sequence[Path],
    root: Path,
    sizing: Sizing | None = None,
    *,
    targets: Mapping[str, tuple[Kind, Callable[[Path], Tensor]]] | None = None,
    splits: Sequence[str | None] | None = None,
) -> DecodedRows:
    """The rows of image files under `root`: presized on the fly by `sizing`, whole where it is None.

    Keys, and so draws, are those of a cache made of the same folder.
    """
    keys = [relative_key(path, root) for path in paths]
    return DecodedRows(paths, keys, partial(load_picture, sizing=sizing), targets=targets, splits=splits)
