"""The rows of a cache behind an address, for a loader: fetched ahead as they are kept, or augmented by the server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DamagedRowError, ServiceError, UsageError
from ...transforms.warp.buffers import Buffers
from ..cache.row_index import RowIndex
from ..loading.batching import Augmentation, BatchRequest, Warped
from ..loading.fetched_rows import Columns, FetchedRows
from ..loading.indexed_rows import Checking, IndexedCache
from ..loading.prefetcher import Prefetcher
from ..loading.rows import RowNumbers, Targets
from .byte_arrays import bytes_of
from .recipes import read_recipe, recipe_json
from .replicas import Replicas, parsing_answer
from .tensor_arrays import ARROW_TYPES, bits_of
from .tickets import Augment, Ticket

_BATCH = 1 << 22  # bytes of a record batch of augmented rows
_AT_ONCE = 2  # requests to each server
_LONGEST, _LARGEST = 4096, 64 << 20  # rows and bytes of one request: each must come within its time
_SLACK = 1 << 20  # bytes of an answer beyond those of its rows


class TicketFetcher:
    """Fetches the bytes of rows as they are kept, by tickets like `ticket`; `index` says how many they are."""

    def __init__(self, ticket: Ticket, replicas: Replicas, index: RowIndex) -> None:
        self._ticket, self._replicas, self._index = ticket, replicas, index

    def fetch(self, rows: RowNumbers, masks: Sequence[str]) -> Columns:
        """The bytes of rows: of their pixels and, by column, of their masks."""
        found: dict[str | None, list[Any]] = {name: [] for name in (None, *masks)}
        for part, nbytes in self._parts(rows, masks):
            ticket = replace(self._ticket, rows=tuple(part.tolist()), masks=tuple(masks))
            for name, values in self._replicas.call(partial(_columns, ticket=ticket, nbytes=nbytes)).items():
                found[name] += values
        return found

    def _parts(self, rows: RowNumbers, masks: Sequence[str]) -> Iterator[tuple[RowNumbers, int]]:
        """The rows of each request, and how many bytes they have."""
        lengths = sum((self._index.lengths(rows, mask) for mask in masks), self._index.lengths(rows))
        groups = np.maximum(np.arange(len(rows)) // _LONGEST, (np.cumsum(lengths) - lengths) // _LARGEST)
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(groups)) + 1):
            yield rows[part], int(lengths[part].sum())


def _columns(client: Any, options: Any, ticket: Ticket, nbytes: int) -> dict[str | None, list[NDArray[np.uint8]]]:
    """The columns of bytes in the answer to a ticket."""
    found: dict[str | None, list[Any]] = {name: [] for name in (None, *ticket.masks)}
    for batch in receive(client, options, ticket, nbytes):
        with parsing_answer():
            for name, values in found.items():
                values += bytes_of(batch.column("image" if name is None else name))
    return found


def receive(client: Any, options: Any, ticket: Ticket, nbytes: int) -> Iterator[pa.RecordBatch]:
    """The record batches of an answer, which has all rows of the ticket, and about `nbytes`."""
    reader = client.do_get(flight.Ticket(ticket.to_json()), options)
    count = held = 0
    for chunk in reader:
        if chunk.data is None or not chunk.data.num_rows:
            continue
        with parsing_answer():
            chunk.data.validate()
        count, held = count + chunk.data.num_rows, held + chunk.data.nbytes
        if count > len(ticket.rows) or held > 2 * nbytes + _SLACK:
            reader.cancel()
            break
        yield chunk.data
    if count != len(ticket.rows) or held > 2 * nbytes + _SLACK:
        raise ServiceError(
            f"a server has sent {count} rows and {held} bytes, where {len(ticket.rows)} rows of {nbytes} bytes were "
            "asked for: it may be of another version"
        )


class ConnectedCache(IndexedCache, Protocol):
    """What `RemoteRows` need of a cache behind an address: `content` is the fingerprint that a ticket names."""

    name: str
    content: str
    replicas: Replicas
    prefetch_bytes: int
    augments: bool

    @property
    def row_index(self) -> RowIndex:
        """What the index says of the rows."""

    @property
    def fetcher(self) -> TicketFetcher:
        """What fetches the bytes of rows."""


class RemoteRows(FetchedRows):
    """The rows of a `RemoteCache`."""

    def __init__(
        self, cache: ConnectedCache, *, checking: Checking = "first", targets: Sequence[str] | None = None
    ) -> None:
        threads = max(2, _AT_ONCE * len(cache.replicas.locations))
        prefetcher: Prefetcher[Any] = Prefetcher(threads, cache.prefetch_bytes)
        super().__init__(cache.row_index, cache, cache.fetcher, prefetcher, checking=checking, targets=targets)
        self.cache = cache
        self._settings: dict[str, Any] = {"checking": checking, "targets": targets}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(RemoteRows, **self._settings), (self.cache,)

    def warper(
        self, augmentation: Callable[[int], Augmentation | None], seed: int, split: str
    ) -> "ServerWarper | None":
        """What asks the server for augmented rows, where the connection says so."""
        if not self.cache.augments or augmentation(0) is None:
            return None
        return ServerWarper(self, augmentation, seed, split, self._prefetcher)


class ServerWarper:
    """Rows that a server augments by the loader's own recipe, seed and epoch."""

    def __init__(
        self,
        rows: RemoteRows,
        augmentation: Callable[[int], Augmentation | None],
        seed: int,
        split: str,
        prefetcher: "Prefetcher[Any]",
    ) -> None:
        self._rows, self._augmentation, self._seed, self._split = rows, augmentation, seed, split
        self._prefetcher, self._buffers = prefetcher, Buffers()
        self._recipe = lru_cache(maxsize=8)(lambda epoch: recipe_json(augmentation(epoch)))
        self._refuse_recipe()

    def _refuse_recipe(self) -> None:
        """Raise `UsageError` for what a server cannot do, before it is asked."""
        fused: Any = self._augmentation(0)
        try:
            read_recipe(self._recipe(0))
        except UsageError as error:
            raise UsageError(f"augment='server' cannot be had: {error}; connect with augment='client'") from None
        for transform in fused.transforms:
            if type(transform).__module__.partition(".")[0] != __package__.partition(".")[0]:
                raise UsageError(
                    f"augment='server' cannot be had: {type(transform).__name__} is a transform of your own, which the "
                    "server does not have; connect with augment='client'"
                )
        two = np.array([[40.0, 50.0], [70.0, 60.0]])
        if fused.plan(two, np.zeros(2, np.uint64), self._seed, 0, self._split).size is None:
            raise UsageError(
                "augment='server' must leave images of one size: add Resize(n), or a transform with size=n"
            )

    def expect(self, request: BatchRequest) -> None:
        """Let the server make this request soon."""
        try:
            nbytes = self._bytes(request)
        except DamagedRowError:
            return  # it is raised, or replaced, when the request is made
        self._prefetcher.expect(self._name(request), lambda: self._fetch(request), nbytes)

    def forget(self, request: BatchRequest) -> None:
        """Let go of a request that was expected and will not be made."""
        self._prefetcher.forget(self._name(request))

    def warp(self, request: BatchRequest) -> Warped:
        """The rows of a request, augmented by a server."""
        warped: Warped = self._prefetcher.take(self._name(request), lambda: self._fetch(request))
        return warped

    def targets(self, rows: RowNumbers, masks: Mapping[str, Tensor]) -> dict[str, Targets]:
        """The rows' targets; `masks` in the place of those that are kept."""
        return self._rows.targets_beside(rows, masks)

    def _name(self, request: BatchRequest) -> tuple[object, ...]:
        """What is expected: loaders of other recipes may share the prefetcher."""
        return self, request.epoch, request.rows.tobytes(), request.hashes.tobytes()

    def _size(self, request: BatchRequest) -> tuple[int, int]:
        """The height and width of a request's images."""
        fused: Any = self._augmentation(request.epoch)
        first = request.rows[:1]
        size = fused.plan(self._sizes(first), request.hashes[:1], self._seed, request.epoch, self._split).size
        height, width = map(int, size)
        return height, width

    def _bytes(self, request: BatchRequest) -> int:
        """How many bytes the answer to a request has."""
        fused: Any = self._augmentation(request.epoch)
        height, width = self._size(request)
        pixel = 3 * int(fused.dtype.itemsize) + 4 * len(self._rows.masks)
        return len(request.rows) * height * width * pixel

    def _sizes(self, rows: RowNumbers) -> NDArray[np.int64]:
        return self._rows.row_index.sizes(rows).astype(np.int64)

    def _fetch(self, request: BatchRequest) -> Warped:
        cache, hashes = self._rows.cache, tuple(request.hashes.tolist())
        augment = Augment(self._recipe(request.epoch), self._seed, request.epoch, self._split, hashes)  # type: ignore[arg-type]
        ticket = Ticket(
            cache.name,
            cache.content,
            send="augmented",
            rows=tuple(request.rows.tolist()),
            columns=(),
            masks=self._rows.masks,
            batch_bytes=_BATCH,
            augment=augment,
        )
        fused: Any = self._augmentation(request.epoch)
        size = self._size(request)
        shapes = {"x": (fused.dtype, (3, *size)), **dict.fromkeys(ticket.masks, (torch.int32, size))}
        fetch = partial(self._receive, ticket=ticket, shapes=shapes, nbytes=self._bytes(request))
        tensors, wide = cache.replicas.call(fetch)
        images = tensors["x"]
        if fused.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        masks = {name: tensors[name] if name in wide else tensors[name].to(torch.uint8) for name in ticket.masks}
        return Warped(images, masks, self._sizes(request.rows), self._rows.row_index.matrix(request.rows))

    def _receive(
        self,
        client: Any,
        options: Any,
        ticket: Ticket,
        shapes: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
        nbytes: int,
    ) -> tuple[dict[str, Tensor], set[str]]:
        """The columns of an answer as tensors `[N, *shape]`, and the masks that have numbers beyond 255.

        Each record batch is copied when it comes, while it is in the processor's caches.
        """
        tensors = {
            name: self._buffers.empty((len(ticket.rows), *shape), dtype) for name, (dtype, shape) in shapes.items()
        }
        wide: set[str] = set()
        done = 0
        for batch in receive(client, options, ticket, nbytes):
            with parsing_answer():
                for name, (dtype, shape) in shapes.items():
                    part = _tensors(batch, name, dtype, shape)
                    np.copyto(bits_of(tensors[name][done : done + len(part)]).numpy(), part, casting="no")
                wide |= {name for name in ticket.masks if any(batch.column(f"{name}_wide").to_pylist())}
            done += batch.num_rows
        return tensors, wide


def _tensors(batch: pa.RecordBatch, name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> NDArray[Any]:
    """A column of tensors of this type and shape; `ValueError` where it is another one."""
    column = batch.column(name)
    kind = pa.fixed_shape_tensor(ARROW_TYPES[dtype], shape)
    if column.type != kind or column.null_count or column.storage.flatten().null_count:
        raise ValueError(f"its {name} must be {kind}, but is {column.type}, or lacks some")
    values: NDArray[Any] = column.to_numpy_ndarray()
    return values
