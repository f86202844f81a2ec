"""The targets of a cache's rows: numbers and shapes from its index, masks from its part files."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CacheError
from ..store.encodings import decode_mask
from .columns import Column
from .files import ReadFiles
from .mapping import MappedFiles
from .rows import RowNumbers, Targets

Damage = Callable[[int, str], Exception]
"""The error for a damaged row, of its number and the reason."""


class CachedTargets:
    """The columns of targets that a cache says it has (`Cache.targets`); `targets[rows]` reads some rows of all."""

    def __init__(
        self, index: pa.Table, targets: Mapping[str, Any], files: MappedFiles | ReadFiles, check: bool, damage: Damage
    ) -> None:
        self._read = {
            name: (target["kind"], _reader(index, name, target, files, check, damage))
            for name, target in targets.items()
        }

    def __getitem__(self, rows: RowNumbers) -> dict[str, Targets]:
        return {name: Targets(kind, read(rows)) for name, (kind, read) in self._read.items()}


def _reader(
    index: pa.Table,
    name: str,
    target: Mapping[str, Any],
    files: MappedFiles | ReadFiles,
    check: bool,
    damage: Damage,
) -> Callable[[RowNumbers], Any]:
    if target["kind"] == "mask":
        return _Masks(index, name, files, check, damage)
    column = index.column(name)
    if column.null_count:
        raise CacheError(f"{column.null_count} rows of the cache have no {name}: presize again with one for all")
    match target["kind"]:
        case "category":
            numbers = Column(column)
            return lambda rows: torch.from_numpy(numbers[rows].astype(np.int64))
        case "multicategory":
            return lambda rows: _hot(column.take(pa.array(rows)).to_pylist(), len(target["vocab"]))
        case _:
            return lambda rows: _ragged(column.take(pa.array(rows)).combine_chunks())


def _hot(lists: list[list[int]], classes: int) -> Tensor:
    """Lists of numbers as zeros and ones, float32 `[N, classes]`."""
    hot = torch.zeros(len(lists), classes)
    for i, numbers in enumerate(lists):
        hot[i, numbers] = 1
    return hot


def _ragged(column: pa.ListArray) -> list[Tensor]:
    """Points or boxes of each row, float32 `[k, 2]` or `[k, 4]`."""
    width = column.type.value_type.list_size
    flat = torch.from_numpy(column.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, width).copy())
    return list(torch.split(flat, column.value_lengths().to_pylist()))


class _Masks:
    """Masks `[h, w]` at their places in the part files."""

    def __init__(self, index: pa.Table, name: str, files: MappedFiles | ReadFiles, check: bool, damage: Damage) -> None:
        columns = {"part": "part", **{said: f"{name}_{said}" for said in ("offset", "length", "checksum")}}
        self._columns = {said: Column(index.column(column)) for said, column in columns.items()}
        self._name, self._files, self._check, self._damage = name, files, check, damage

    def __call__(self, rows: RowNumbers) -> list[Tensor]:
        places = zip(rows.tolist(), *(self._columns[said][rows].tolist() for said in self._columns), strict=True)
        return [torch.from_numpy(self._mask(*place)) for place in places]

    def _mask(self, row: int, part: int, offset: int, length: int, expected: int) -> NDArray[Any]:
        if offset < 0 or offset + length > self._files.sizes[part]:
            raise self._damage(row, f"the index places its {self._name} outside of its part")
        data = self._files.get(part, offset, length)
        if self._check and zlib.crc32(data.data) != expected:
            raise self._damage(row, f"the checksum of its {self._name} is not the one that was written")
        try:
            return decode_mask(data.data)
        except (OSError, ValueError) as error:
            raise self._damage(row, f"its {self._name} cannot be decoded ({error})") from error
