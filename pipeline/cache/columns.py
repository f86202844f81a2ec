"""The columns of an index, read in place, some rows at a time.

Arrow trusts offsets and lengths, so that one wrong bit in them ends the process. Here each is compared with its bounds
before it is used.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from ...errors import CacheError
from .digest_blocks import Blocks, Region, Test, refuse_impossible


class Piece(Protocol):
    """The values of a column in one record batch."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]: ...

    def to_arrow(self, begin: int, end: int) -> pa.Array:
        """The values from `begin` up to `end` as an Arrow array whose offsets are checked."""


class Column:
    """A column: `column[rows]` are the values of these rows, an array of numbers, of texts or of arrays.

    >>> Column([piece_of("n", pa.array([1, 2])), piece_of("n", pa.array([3]))])[np.array([2, 0])]
    array([3, 1])
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._ends = np.cumsum([len(piece) for piece in pieces])

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        if len(self._pieces) == 1:
            return self._pieces[0][rows]
        values = [piece[np.empty(0, np.int64)] for piece in self._pieces[:1]]
        piece_of_row = np.searchsorted(self._ends, rows, side="right")
        order: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        for number in distinct(piece_of_row):
            here = np.flatnonzero(piece_of_row == number)
            piece = self._pieces[number]
            values.append(piece[rows[here] - (self._ends[number] - len(piece))])
            order.append(here)
        joined = np.concatenate(values)
        result = np.empty_like(joined)
        result[np.concatenate(order)] = joined
        return result

    def equal(self, value: object, chunk: int = 1 << 20) -> list[NDArray[np.bool_]]:
        """Whether each row holds `value`: masks of the rows in order, `chunk` rows at most in each."""
        masks = []
        for piece in self._pieces:
            for begin in range(0, len(piece), chunk):
                mask = pc.equal(piece.to_arrow(begin, min(begin + chunk, len(piece))), pa.scalar(value))
                masks.append(mask.fill_null(False).to_numpy(zero_copy_only=False))
        return masks

    def where(self, value: object) -> NDArray[np.int64]:
        """The numbers of the rows that hold `value`."""
        return np.flatnonzero(np.concatenate([np.empty(0, bool), *self.equal(value)]))

    def to_arrow(self) -> pa.ChunkedArray:
        """The whole column as an Arrow array."""
        return pa.chunked_array([piece.to_arrow(0, len(piece)) for piece in self._pieces])


class Numbers:
    """Numbers, or fixed lists of numbers, without nulls."""

    def __init__(self, array: pa.Array, region: Region) -> None:
        self._array, self._region = array, region

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self._region[rows]

    def to_arrow(self, begin: int, end: int) -> pa.Array:
        """The values from `begin` up to `end` as an Arrow array."""
        self._region.part(begin, end)
        return self._array.slice(begin, end - begin)


class Texts:
    """Texts, or None: `offsets` `int32[n + 1]` into `data`, and `validity`, a bit for each, where some are None."""

    def __init__(self, array: pa.Array, offsets: Region, data: Region, validity: Region | None) -> None:
        self._array, self._offsets, self._data, self._validity = array, offsets, data, validity

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        begins, ends = _bounds(self._offsets, rows)
        texts = np.empty(len(rows), object)
        for i, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            try:
                texts[i] = self._data.part(begin, end).tobytes().decode()
            except UnicodeDecodeError:
                name, row = self._offsets.name, int(rows[i])
                raise CacheError(f"row {row} of the cache has a {name} that is no UTF-8: run presize again") from None
        if self._validity is not None:
            places = rows + self._array.offset
            texts[(self._validity[places >> 3] >> (places & 7)) & 1 == 0] = None
        return texts

    def to_arrow(self, begin: int, end: int) -> pa.Array:
        """The values from `begin` up to `end` as an Arrow array."""
        _check_bounds(self._offsets, self._data, begin, end)
        if self._validity is not None:
            self._validity.part((begin + self._array.offset) >> 3, ((end + self._array.offset - 1) >> 3) + 1)
        return self._array.slice(begin, end - begin)


class Lists:
    """Lists of numbers, or of fixed lists of numbers: `offsets` `int32[n + 1]` into `entries`."""

    def __init__(self, array: pa.Array, offsets: Region, entries: Region) -> None:
        self._array, self._offsets, self._entries = array, offsets, entries

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        lists = np.empty(len(rows), object)
        for i, (begin, end) in enumerate(zip(*(ends.tolist() for ends in _bounds(self._offsets, rows)), strict=True)):
            lists[i] = self._entries.part(begin, end)
        return lists

    def to_arrow(self, begin: int, end: int) -> pa.Array:
        """The values from `begin` up to `end` as an Arrow array."""
        _check_bounds(self._offsets, self._entries, begin, end)
        return self._array.slice(begin, end - begin)


def piece_of(name: str, array: pa.Array, test: Test | None = None, blocks: Blocks | None = None) -> Piece:
    """The values of a column in one record batch; `CacheError` where its memory is not what its type says.

    `test` tells which values are impossible; of lists it sees the entries. `blocks` are those of the file of the array.
    """

    def region(
        buffer: pa.Buffer, kind: DTypeLike, count: int, offset: int, test: Test | None, shape: tuple[int, ...]
    ) -> Region:
        view = _view(name, buffer, np.dtype(kind), count * int(np.prod(shape)), offset * int(np.prod(shape)))
        view = view.reshape(count, *shape)
        if blocks is not None:
            return blocks.region(name, view, test)
        here = Region(name, view, test)
        refuse_impossible(here, 0, count, "the cache")
        return here

    def flat(array: pa.Array, test: Test | None) -> Region:
        """Numbers, or fixed lists of them."""
        shape: tuple[int, ...] = ()
        first, count = array.offset, len(array)
        while pa.types.is_fixed_size_list(array.type):
            shape, array = (*shape, array.type.list_size), array.values
        return region(array.buffers()[1], array.type.to_pandas_dtype(), count, first, test, shape)

    kind, count, first = array.type, len(array), array.offset
    if count == 0 and not pa.types.is_fixed_size_list(kind):
        plain = pa.types.is_primitive(kind)
        return Numbers(array, Region(name, np.empty(0, kind.to_pandas_dtype() if plain else object), None))
    if not (pa.types.is_string(kind) or pa.types.is_list(kind)):
        return Numbers(array, flat(array, test))
    validity, offsets = array.buffers()[:2]
    if pa.types.is_list(kind):
        entries = flat(array.values, test)
        return Lists(array, region(offsets, np.int32, count + 1, first, _range_test(len(entries.values)), ()), entries)
    data = array.buffers()[2]
    size = 0 if data is None else data.size
    letters = region(data, np.uint8, size, 0, None, ())
    nulls = array.null_count and validity is not None
    bits = region(validity, np.uint8, (first + count + 7) >> 3, 0, None, ()) if nulls else None
    return Texts(array, region(offsets, np.int32, count + 1, first, _range_test(size), ()), letters, bits)


def distinct(numbers: NDArray[np.int64]) -> list[int]:
    """The distinct numbers, sorted. For a batch `np.unique` takes longer than all other reading."""
    return sorted(set(numbers.tolist()))


def _view(name: str, buffer: pa.Buffer | None, kind: np.dtype[np.generic], count: int, offset: int) -> NDArray[Any]:
    if count == 0:
        return np.empty(0, kind)
    if buffer is None or buffer.size < (offset + count) * kind.itemsize:
        raise CacheError(f"the index is no index of a cache: its column {name} is shorter than its rows")
    return np.frombuffer(buffer, kind, count, offset * kind.itemsize)


def _range_test(size: int) -> Test:
    def test(offsets: NDArray[np.int32]) -> NDArray[np.bool_]:
        outside: NDArray[np.bool_] = (offsets < 0) | (offsets > size)
        return outside

    return test


def _bounds(offsets: Region, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    begins, ends = offsets[rows], offsets[rows + 1]
    if (ends < begins).any():
        raise _overlap_error(offsets.name)
    return begins, ends


def _check_bounds(offsets: Region, entries: Region, begin: int, end: int) -> None:
    ends = offsets.part(begin, end + 1)
    if (ends[1:] < ends[:-1]).any():
        raise _overlap_error(offsets.name)
    if len(ends):
        entries.part(int(ends[0]), int(ends[-1]))


def _overlap_error(name: str) -> CacheError:
    return CacheError(f"the index is no index of a cache: entries of its column {name} overlap: run presize again")
