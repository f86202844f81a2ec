"""The targets of a cache's rows: numbers and shapes from its index, masks from its part files."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CacheError
from ..cache.checksums import checksum
from ..cache.encodings import decode_mask
from ..cache.files import ReadFiles
from ..cache.index import Index
from ..cache.mapping import MappedFiles
from .rows import RowNumbers, Targets

Damage = Callable[[int, str], Exception]
"""The error for a damaged row, of its number and the reason."""


class CachedTargets:
    """The columns of targets that a cache says it has (`Cache.targets`); `targets[rows]` reads some rows of all."""

    def __init__(
        self, index: Index, targets: Mapping[str, Any], files: MappedFiles | ReadFiles, check: bool, damage: Damage
    ) -> None:
        self._read = {
            name: (target["kind"], _reader(index, name, target, files, check, damage))
            for name, target in targets.items()
        }

    def __getitem__(self, rows: RowNumbers) -> dict[str, Targets]:
        return {name: Targets(kind, read(rows)) for name, (kind, read) in self._read.items()}


def _reader(
    index: Index,
    name: str,
    target: Mapping[str, Any],
    files: MappedFiles | ReadFiles,
    check: bool,
    damage: Damage,
) -> Callable[[RowNumbers], Any]:
    if target["kind"] == "mask":
        return _Masks(index, name, files, check, damage)
    if index.nulls(name):
        raise CacheError(f"{index.nulls(name)} rows of the cache have no {name}: presize again with one for all")
    column = index[name]
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


class _Masks:
    """Masks `[h, w]` at their places in the part files."""

    def __init__(self, index: Index, name: str, files: MappedFiles | ReadFiles, check: bool, damage: Damage) -> None:
        columns = {"part": "part", **{said: f"{name}_{said}" for said in ("offset", "length", "checksum")}}
        self._columns = {said: index[column] for said, column in columns.items()}
        self._name, self._files, self._check, self._damage = name, files, check, damage

    def __call__(self, rows: RowNumbers) -> list[Tensor]:
        places = zip(rows.tolist(), *(self._columns[said][rows].tolist() for said in self._columns), strict=True)
        return [torch.from_numpy(self._mask(*place)) for place in places]

    def _mask(self, row: int, part: int, offset: int, length: int, expected: int) -> NDArray[Any]:
        if offset < 0 or offset + length > self._files.sizes[part]:
            raise self._damage(row, f"the index places its {self._name} outside of its part")
        data = self._files.get(part, offset, length)
        if self._check and checksum(data) != expected:
            raise self._damage(row, f"the checksum of its {self._name} is not the one that was written")
        try:
            return decode_mask(data.data)
        except (OSError, ValueError) as error:
            raise self._damage(row, f"its {self._name} cannot be decoded ({error})") from error
