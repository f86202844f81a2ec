"""Bytes of rows as Arrow arrays: binary_view arrays that point to where the bytes lie, or binary arrays of a copy."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...transforms.warp.buffers import Buffers, copy_all
from ..loading.cache_rows import StoredBytes

_INLINE = 12  # bytes that a view holds itself
_NEAR = 64  # bytes between two rows that are sent along rather than divided by a buffer of their own

_VIEW = np.dtype([("length", "<i4"), ("prefix", "V4"), ("buffer", "<i4"), ("offset", "<i4")])


def view_array(stored: StoredBytes) -> pa.Array:
    """A binary_view array of rows, which shares their memory.

    Arrow sends every buffer of such an array whole, so that each is cut to a run of rows that lie side by side.
    """
    data, starts, lengths = stored
    views = np.zeros(len(starts), _VIEW)
    views["length"] = lengths
    is_first = np.ones(len(starts), bool)
    gaps = starts[1:] - (starts[:-1] + lengths[:-1])
    is_first[1:] = (gaps < 0) | (gaps > _NEAR)
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(starts))[: len(first)] - 1
    run = is_first.cumsum() - 1
    views["buffer"], views["offset"] = run, starts - starts[first][run]
    long = lengths > _INLINE
    views["prefix"][long] = data[starts[long, None] + np.arange(4)].view("V4")[:, 0]
    for i in np.flatnonzero(~long).tolist():
        inline = np.zeros(_INLINE, np.uint8)
        inline[: lengths[i]] = stored.row(i)
        views[i : i + 1].view(np.uint8)[4:] = inline
    ends = starts[last] + lengths[last]
    buffers = [pa.py_buffer(data[begin:end]) for begin, end in zip(starts[first].tolist(), ends.tolist(), strict=True)]
    return pa.Array.from_buffers(pa.binary_view(), len(starts), [None, pa.py_buffer(views), *buffers])


def plain_array(stored: StoredBytes, buffers: Buffers | None = None) -> pa.Array:
    """A binary array with a copy of the rows, in memory of `buffers`; at most 2**31 - 1 bytes."""
    ends = np.concatenate([[0], np.cumsum(stored.lengths)])
    out = (buffers or Buffers()).empty((int(ends[-1]),)).numpy()
    targets = [out[begin:end] for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
    copy_all(targets, [stored.row(i) for i in range(len(targets))])
    return pa.Array.from_buffers(
        pa.binary(), len(targets), [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(out)]
    )


def bytes_of(array: pa.Array) -> list[NDArray[np.uint8]]:
    """The bytes of each entry of a binary or binary_view array, where they lie; an array without nulls.

    Offsets are held against their buffers: an array may come from a stranger. Raises `ValueError` where they are wrong.
    """
    if array.null_count:
        raise ValueError("entries are missing")
    if pa.types.is_binary_view(array.type):
        return _bytes_of_views(array)
    if not is_binary(array.type):
        raise ValueError(f"a column of bytes was expected, but it is {array.type}")
    kind = np.dtype(np.int32 if pa.types.is_binary(array.type) else np.int64)
    _, offsets, data = array.buffers()
    ends = _numbers(offsets, kind, array.offset, len(array) + 1 if len(array) else 0).astype(np.int64)
    body = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    if len(ends) and (ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] > len(body)):
        raise ValueError("offsets lie outside of the buffer")
    return [body[begin:end] for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]


def is_binary(kind: pa.DataType) -> bool:
    """Whether a column of this type holds bytes."""
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _bytes_of_views(array: pa.Array) -> list[NDArray[np.uint8]]:
    _, head, *buffers = array.buffers()
    views = _numbers(head, _VIEW, array.offset, len(array))
    bodies = [np.empty(0, np.uint8) if body is None else np.frombuffer(body, np.uint8) for body in buffers]
    found = []
    for i, (length, _, buffer, offset) in enumerate(views.tolist()):
        if 0 <= length <= _INLINE:
            found.append(views[i : i + 1].view(np.uint8)[4 : 4 + length])
        elif length < 0 or not 0 <= buffer < len(bodies) or not 0 <= offset <= len(bodies[buffer]) - length:
            raise ValueError("views lie outside of their buffers")
        else:
            found.append(bodies[buffer][offset : offset + length])
    return found


def _numbers(buffer: pa.Buffer | None, kind: "np.dtype[np.generic]", offset: int, count: int) -> NDArray[np.generic]:
    if count == 0:
        return np.empty(0, kind)
    if buffer is None or buffer.size < (offset + count) * kind.itemsize:
        raise ValueError("a buffer is shorter than its array")
    return np.frombuffer(buffer, kind, count, offset * kind.itemsize)
