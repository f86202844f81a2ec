"""The targets of a cache's rows: numbers and shapes from its index, masks from the bytes of its rows."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CacheError
from ..cache.checksums import Bytes
from ..cache.row_index import RowIndex
from .rows import Kind, RowNumbers, Targets

MaskBytes = Callable[[RowNumbers, str], Sequence[Bytes]]
"""Gives the bytes of the masks of rows in a column."""


class CacheTargets:
    """The columns of targets that a cache says it has (`Cache.targets`); `targets[rows]` reads some rows of all.

    `mask_bytes` gives the masks' bytes, and `verify` says whether these are compared with their checksums.
    """

    def __init__(self, index: RowIndex, targets: Mapping[str, Any], mask_bytes: MaskBytes, verify: bool) -> None:
        self._index, self._mask_bytes, self._verify = index, mask_bytes, verify
        self.kinds: dict[str, Kind] = {name: target["kind"] for name, target in targets.items()}
        self._read = {name: (target["kind"], self._reader(name, target)) for name, target in targets.items()}

    def __getitem__(self, rows: RowNumbers) -> dict[str, Targets]:
        return self.read(rows)

    def read(self, rows: RowNumbers, others: Mapping[str, Any] | None = None) -> dict[str, Targets]:
        """The targets of some rows; those of `others` are at hand, and not read."""
        at_hand = others or {}
        return {
            name: Targets(kind, at_hand[name] if name in at_hand else read(rows))
            for name, (kind, read) in self._read.items()
        }

    def _reader(self, name: str, target: Mapping[str, Any]) -> Callable[[RowNumbers], Any]:
        if target["kind"] == "mask":
            return partial(self._masks, name=name)
        return _reader(self._index, name, target)

    def _masks(self, rows: RowNumbers, name: str) -> list[Tensor]:
        """The masks `[h, w]` of some rows, of one dtype: uint8, or int32 where one of them has a number beyond 255."""
        checksums = self._index.checksums(rows, name) if self._verify else []
        masks = []
        for i, (row, data) in enumerate(zip(rows.tolist(), self._mask_bytes(rows, name), strict=True)):
            if self._verify:
                self._index.verify(row, data, checksums[i], name)
            masks.append(torch.from_numpy(self._index.decode_mask(row, data, name)))
        if len({mask.dtype for mask in masks}) > 1:  # some have numbers beyond 255
            masks = [mask.to(torch.int32) for mask in masks]
        return masks


def _reader(index: RowIndex, name: str, target: Mapping[str, Any]) -> Callable[[RowNumbers], Any]:
    if count := index.index.nulls(name):
        raise CacheError(f"{count} rows of the cache have no {name}: presize again with one for all")
    column = index.columns[name]
    match target["kind"]:
        case "category":
            return lambda rows: torch.from_numpy(column[rows].astype(np.int64))
        case "multicategory":
            return lambda rows: _hot(column[rows], len(target["vocab"]))
        case _:
            return lambda rows: [torch.from_numpy(shapes.copy()) for shapes in column[rows]]


def _hot(lists: NDArray[Any], classes: int) -> Tensor:
    """Lists of numbers as zeros and ones, float32 `[N, classes]`."""
    hot = torch.zeros(len(lists), classes)
    for i, numbers in enumerate(lists):
        hot[i, list(numbers)] = 1
    return hot
