"""The targets of a cache's rows: numbers and shapes from its index, masks from its part files."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CacheError
from ..cache.row_store import RowStore
from .rows import RowNumbers, Targets


class CacheTargets:
    """The columns of targets that a cache says it has (`Cache.targets`); `targets[rows]` reads some rows of all.

    `verify` says whether masks are compared with their checksums.
    """

    def __init__(self, store: RowStore, targets: Mapping[str, Any], verify: bool) -> None:
        self._read = {name: (target["kind"], _reader(store, name, target, verify)) for name, target in targets.items()}

    def __getitem__(self, rows: RowNumbers) -> dict[str, Targets]:
        return {name: Targets(kind, read(rows)) for name, (kind, read) in self._read.items()}


def _reader(store: RowStore, name: str, target: Mapping[str, Any], verify: bool) -> Callable[[RowNumbers], Any]:
    if target["kind"] == "mask":
        return partial(_masks, store=store, name=name, verify=verify)
    if count := store.index.nulls(name):
        raise CacheError(f"{count} rows of the cache have no {name}: presize again with one for all")
    column = store.columns[name]
    match target["kind"]:
        case "category":
            return lambda rows: torch.from_numpy(column[rows].astype(np.int64))
        case "multicategory":
            return lambda rows: _hot(column[rows], len(target["vocab"]))
        case _:
            return lambda rows: [torch.from_numpy(shapes.copy()) for shapes in column[rows]]


def _masks(rows: RowNumbers, store: RowStore, name: str, verify: bool) -> list[Tensor]:
    """The masks `[h, w]` of some rows."""
    locations, masks = store.locations(rows, name), []
    checksums = store.checksums(rows, name) if verify else []
    for i, row in enumerate(rows.tolist()):
        data = store.files.get(*locations.row(i))
        if verify:
            store.verify(row, data, checksums[i], name)
        masks.append(torch.from_numpy(store.decode_mask(row, data, name)))
    return masks


def _hot(lists: NDArray[Any], classes: int) -> Tensor:
    """Lists of numbers as zeros and ones, float32 `[N, classes]`."""
    hot = torch.zeros(len(lists), classes)
    for i, numbers in enumerate(lists):
        hot[i, list(numbers)] = 1
    return hot
