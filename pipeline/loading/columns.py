"""Columns of a memory-mapped index, some rows at a time."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Column:
    """A column of numbers (or of fixed lists of numbers) without nulls: `column[rows]` reads just these rows.

    A chunk is a view of the index's own memory, so that a column of any length takes none.

    >>> Column(pa.chunked_array([[1, 2], [3]]))[np.array([2, 0])]
    array([3, 1])
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._chunks = [_view(chunk) for chunk in column.chunks]
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks])
        self._empty = _view(pa.array([], column.type))

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        if len(self._chunks) == 1:
            return self._chunks[0][rows]
        if not self._chunks:
            return self._empty[rows]
        result = np.empty((len(rows), *self._empty.shape[1:]), self._empty.dtype)
        chunk_of = np.searchsorted(self._ends, rows, side="right")
        for chunk in distinct(chunk_of):
            mine = chunk_of == chunk
            result[mine] = self._chunks[chunk][rows[mine] - (self._ends[chunk] - len(self._chunks[chunk]))]
        return result

    def where(self, value: Any) -> NDArray[np.int64]:
        """The rows that hold `value`."""
        ends = zip(self._chunks, self._ends.tolist(), strict=True)
        found = [np.flatnonzero(chunk == value) + (end - len(chunk)) for chunk, end in ends]
        return np.concatenate([np.empty(0, np.int64), *found])


def distinct(numbers: NDArray[np.int64]) -> list[int]:
    """Those of a batch's numbers that differ, in order: `np.unique` takes longer than the rest of a batch's reading."""
    return sorted(set(numbers.tolist()))


def _view(chunk: pa.Array) -> NDArray[Any]:
    if pa.types.is_fixed_size_list(chunk.type):
        flat: NDArray[Any] = chunk.flatten().to_numpy(zero_copy_only=True)
        return flat.reshape(len(chunk), chunk.type.list_size)
    view: NDArray[Any] = chunk.to_numpy(zero_copy_only=True)
    return view
