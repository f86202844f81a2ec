"""Rows of a cache as record batches of a few megabytes: as they are kept, as pixels, or augmented."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from ...errors import UsageError
from ...transforms.warp.buffers import Buffers
from ...transforms.warp.packed import Packed
from ..cache.checksums import checksum
from ..loading.cache_rows import StoredBytes
from ..loading.rows import RowNumbers, Targets
from .byte_arrays import plain_array, view_array
from .limits import Limits
from .recipes import plan_of, read_recipe
from .served_caches import ServedCache
from .tensor_arrays import ARROW_TYPES, tensor_array
from .tickets import Augment, Ticket

_CHUNK = 1 << 16  # rows whose lengths are looked up at once
_INDEX_BLOCK = 1 << 22  # bytes of the index's file in a record batch
INDEX_SCHEMA = pa.schema([pa.field("data", pa.binary(), nullable=False)])


class UnmadeBatch(NamedTuple):
    """A record batch that can be made, and about how many bytes that takes."""

    nbytes: int
    make: Callable[[], Any]


def answer(ticket: Ticket, served: ServedCache, limits: Limits) -> tuple[pa.Schema, Iterator[UnmadeBatch]]:
    """The schema of an answer, and its record batches, in order, yet to be made.

    Raises `UsageError` for a ticket that does not fit the cache; `make` raises what reading rows raises.
    """
    if ticket.send == "index":
        return INDEX_SCHEMA, _index_batches(served)
    ticket.check_rows(len(served.cache))
    batches = _Batches(ticket, served, limits)
    return batches.schema, iter(batches)


def _groups(lengths: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Where to cut rows of these lengths, so that each group has at most so many bytes, but at least one row."""
    ends = np.cumsum(lengths)
    begin = 0
    while begin < len(lengths):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield begin, end
        begin = end


def _index_batches(served: ServedCache) -> Iterator[UnmadeBatch]:
    data = served.cache.small.file
    assert data is not None  # a served cache has a file

    def make(begin: int) -> pa.RecordBatch:
        block = data[begin : begin + _INDEX_BLOCK]
        return pa.record_batch([plain_array(StoredBytes(block, np.array([0]), np.array([len(block)])))], INDEX_SCHEMA)

    return (UnmadeBatch(_INDEX_BLOCK, partial(make, begin)) for begin in range(0, len(data), _INDEX_BLOCK))


class _Batches:
    """Makes the record batches of one ticket."""

    def __init__(self, ticket: Ticket, served: ServedCache, limits: Limits) -> None:
        self.ticket, self.served, self._limits = ticket, served, limits
        self._fields = [_field(served, name) for name in ticket.columns]
        if unknown := [name for name in ticket.masks if name not in served.cache.masks]:
            raise UsageError(f"masks must be some of {served.cache.masks}, but got {unknown[0][:64]!r}")
        self._buffers = served.buffers
        self._augment = None if ticket.augment is None else _Augmenting(ticket, ticket.augment, served, limits)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of an answer."""
        kind = pa.binary_view() if self.ticket.binary == "view" else pa.binary()
        if self._augment is not None:
            return pa.schema([*self._fields, *self._augment.fields])
        small = [pa.field("height", pa.int32()), pa.field("width", pa.int32()), pa.field("checksum", pa.uint32())]
        names = ["image" if self.ticket.send == "stored" else "pixels", *self.ticket.masks]
        return pa.schema(
            [*self._fields, *(f for f in small if f.name not in self.ticket.columns), *_binary(names, kind)]
        )

    def __iter__(self) -> Iterator[UnmadeBatch]:
        for begin in range(0, len(self.ticket.rows), _CHUNK):
            rows = self.ticket.numbers(begin, begin + _CHUNK)
            hashes = None if self._augment is None else self._hashes(rows, begin)
            lengths = self.lengths(rows)
            self._refuse_too_long(rows, lengths)
            for a, b in _groups(lengths, self.ticket.batch_bytes):
                yield UnmadeBatch(
                    int(lengths[a:b].sum()), partial(self.make, rows[a:b], None if hashes is None else hashes[a:b])
                )

    def _hashes(self, rows: RowNumbers, begin: int) -> NDArray[np.uint64]:
        hashes = None if self.ticket.augment is None else self.ticket.augment.hashes
        if hashes is None:
            return self.served.rows.key_hashes(rows)
        return np.array(hashes[begin : begin + len(rows)], np.uint64)

    def _refuse_too_long(self, rows: RowNumbers, lengths: NDArray[np.int64]) -> None:
        most = self._limits.row_bytes
        for i in np.flatnonzero(lengths > most)[:1].tolist():
            (key,) = self.served.rows.keys(rows[i : i + 1])
            raise UsageError(f"row {key!r} has {int(lengths[i])} bytes, and a message can have {most}")

    def lengths(self, rows: RowNumbers) -> NDArray[np.int64]:
        """About how many bytes each row takes in an answer, or on the way to it."""
        index = self.served.cache.row_index
        pixels: NDArray[np.int64] = index.sizes(rows).astype(np.int64).prod(1) * 3
        if self._augment is not None:
            return pixels.clip(self._augment.row_bytes)
        lengths = pixels if self.ticket.send == "pixels" else index.lengths(rows)
        return sum((index.lengths(rows, mask) for mask in self.ticket.masks), lengths)

    def make(self, rows: RowNumbers, hashes: NDArray[np.uint64] | None) -> pa.RecordBatch:
        """The record batch of some rows."""
        small = [_column(self.served, field, rows) for field in self._fields]
        if self._augment is not None and hashes is not None:
            batch = pa.record_batch([*small, *self._augment.arrays(rows, hashes, self._buffers)], self.schema)
        else:
            batch = self._rows_as_kept(rows, small)
        self.served.rows.confirm()
        return batch

    def _rows_as_kept(self, rows: RowNumbers, small: list[pa.Array]) -> pa.RecordBatch:
        ticket, index = self.ticket, self.served.cache.row_index
        if ticket.send == "pixels":
            stored = self._pixels(rows)
            sums = np.array([checksum(stored.row(i)) for i in range(len(rows))], np.uint32)
        else:
            stored = self.served.rows.stored(rows)
            sums = np.array(index.checksums(rows), np.uint32)
        height, width = index.sizes(rows).T
        own = {"height": height, "width": width, "checksum": sums}
        small += [pa.array(values) for name, values in own.items() if name not in ticket.columns]
        pictures = [stored, *(self.served.rows.stored(rows, mask) for mask in ticket.masks)]
        if ticket.binary == "view":
            arrays = [view_array(picture) for picture in pictures]
        else:
            arrays = [plain_array(picture, self._buffers) for picture in pictures]
        return pa.record_batch([*small, *arrays], self.schema)

    def _pixels(self, rows: RowNumbers) -> StoredBytes:
        images = self.served.rows.read(rows, self._buffers, in_place=False).images
        lengths = self.served.cache.row_index.sizes(rows).astype(np.int64).prod(1) * 3
        if isinstance(images, Packed):
            return StoredBytes(images.data.numpy(), images.offsets.numpy(), lengths)
        return StoredBytes(images.numpy().reshape(-1), np.cumsum(lengths) - lengths, lengths)


class _Augmenting:
    """What a recipe makes of rows: `x`, and the masks under the plan of their images.

    Masks are int32; `MASK_wide` says whether they are uint8 where they are kept, or have numbers beyond 255.
    """

    def __init__(self, ticket: Ticket, augment: Augment, served: ServedCache, limits: Limits) -> None:
        self._served, self._limits, self._masks = served, limits, ticket.masks
        self._fused = read_recipe(augment.recipe)
        self._draws = {"seed": augment.seed, "epoch": augment.epoch, "split": augment.split}
        probe = self._plan(np.arange(min(1, len(served.cache))), np.zeros(1, np.uint64))
        if probe.size is None or not self._has_one_size():
            raise UsageError("the recipe must leave images of one size: add Resize(n), or a transform with size=n")
        self._size = probe.size
        self._step_bytes = sum(12 * h * w for h, w in (step.size for step in probe.steps[:-1] if step.size is not None))

    def _has_one_size(self) -> bool:
        """Whether images of any two sizes leave with one."""
        two = np.array([[40.0, 50.0], [70.0, 60.0]])
        return plan_of(self._fused, two, np.zeros(2, np.uint64), self._draws, self._limits).size is not None

    def _plan(self, rows: RowNumbers, hashes: NDArray[np.uint64]) -> Any:
        sizes = self._served.cache.row_index.sizes(rows)
        return plan_of(self._fused, sizes, hashes, self._draws, self._limits)

    @property
    def row_bytes(self) -> int:
        """How many bytes a row takes, with what its steps leave."""
        h, w = self._size
        return int(h * w * (3 * self._fused.dtype.itemsize + 4 * len(self._masks)) + self._step_bytes)

    @cached_property
    def _image(self) -> pa.DataType:
        return pa.fixed_shape_tensor(ARROW_TYPES[self._fused.dtype], (3, *self._size))

    @cached_property
    def _mask(self) -> pa.DataType:
        return pa.fixed_shape_tensor(pa.int32(), self._size)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns that are made."""
        fields = [pa.field("x", self._image)]
        for name in self._masks:
            fields += [pa.field(name, self._mask), pa.field(f"{name}_wide", pa.bool_())]
        return fields

    def arrays(self, rows: RowNumbers, hashes: NDArray[np.uint64], buffers: Buffers) -> list[pa.Array]:
        """The columns for some rows."""
        reader = self._served.rows
        images = reader.read(rows, buffers, in_place=True).images
        plan = self._plan(rows, hashes)
        arrays = [tensor_array(self._fused.images(images, plan), self._image)]
        targets: dict[str, Targets] = reader.targets(rows) if self._masks else {}
        for name in self._masks:
            masks = self._fused.masks(list(targets[name].values), plan)
            wide = masks.dtype != torch.uint8
            arrays += [tensor_array(masks.to(torch.int32), self._mask), pa.array([wide] * len(rows))]
        return arrays


def _field(served: ServedCache, name: str) -> pa.Field:
    schema = served.cache.small.schema
    if name not in schema.names:
        raise UsageError(f"columns must be some of {', '.join(schema.names)}, but got {name[:64]!r}")
    return schema.field(name)


def _column(served: ServedCache, field: pa.Field, rows: RowNumbers) -> pa.Array:
    values = served.cache.small[field.name][rows]
    return pa.array(values.tolist() if values.ndim > 1 or values.dtype == object else values, field.type)


def _binary(names: Sequence[str], kind: pa.DataType) -> list[pa.Field]:
    return [pa.field(name, kind, nullable=False) for name in names]
