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

from ...errors import ServiceError
from ...transforms.warp.buffers import Buffers
from ..cache.row_index import RowIndex
from ..loading.batching import Augmentation, BatchRequest, Warped
from ..loading.fetched_rows import Columns, FetchedRows
from ..loading.indexed_rows import Checking, IndexedCache
from ..loading.prefetcher import Prefetcher
from ..loading.rows import RowNumbers, Targets
from .byte_arrays import bytes_of
from .recipes import recipe_json
from .replicas import Replicas
from .tickets import Augment, Ticket

_BATCH = 1 << 21  # bytes of a record batch of augmented rows: less than a processor's caches hold
_AT_ONCE = 2  # requests to each server
_LONGEST = 4096  # rows of one request: a loader's batch of more is fetched in several


class TicketFetcher:
    """Fetches the bytes of rows as they are kept, by tickets like `ticket`."""

    def __init__(self, ticket: Ticket, replicas: Replicas) -> None:
        self._ticket, self._replicas = ticket, replicas

    def fetch(self, rows: RowNumbers, masks: Sequence[str]) -> Columns:
        """The bytes of rows: of their pixels and, by column, of their masks."""
        found: dict[str | None, list[Any]] = {name: [] for name in (None, *masks)}
        for begin in range(0, len(rows), _LONGEST):
            part = tuple(rows[begin : begin + _LONGEST].tolist())
            ticket = replace(self._ticket, rows=part, masks=tuple(masks))
            for name, values in self._replicas.call(partial(_columns, ticket=ticket)).items():
                found[name] += values
        return found


def _columns(client: Any, options: Any, ticket: Ticket) -> dict[str | None, list[NDArray[np.uint8]]]:
    """The columns of bytes in the answer to a ticket."""
    found: dict[str | None, list[Any]] = {name: [] for name in (None, *ticket.masks)}
    for batch in _answer(client, options, ticket):
        for name, values in found.items():
            values += bytes_of(batch.column("image" if name is None else name))
    return found


def _answer(client: Any, options: Any, ticket: Ticket) -> Iterator[pa.RecordBatch]:
    """The record batches of an answer, which has all rows of the ticket."""
    count = 0
    for chunk in client.do_get(flight.Ticket(ticket.to_json()), options):
        count += chunk.data.num_rows
        if count > len(ticket.rows):
            break
        yield chunk.data
    if count != len(ticket.rows):
        raise _other_version(f"{count} rows of {len(ticket.rows)}")


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
        self._recipe(0)  # raises for what a server cannot do

    def expect(self, request: BatchRequest) -> None:
        """Let the server make this request soon."""
        fused: Any = self._augmentation(request.epoch)
        size = fused.plan(
            self._sizes(request.rows[:1]), request.hashes[:1], self._seed, request.epoch, self._split
        ).size
        nbytes = len(request.rows) * (0 if size is None else size[0] * size[1] * 3 * fused.dtype.itemsize)
        self._prefetcher.expect(_name(request), lambda: self._fetch(request), nbytes)

    def forget(self, request: BatchRequest) -> None:
        """Let go of a request that was expected and will not be made."""
        self._prefetcher.forget(_name(request))

    def warp(self, request: BatchRequest) -> Warped:
        """The rows of a request, augmented by a server."""
        warped: Warped = self._prefetcher.take(_name(request), lambda: self._fetch(request))
        return warped

    def targets(self, rows: RowNumbers, masks: Mapping[str, Tensor]) -> dict[str, Targets]:
        """The rows' targets; `masks` in the place of those that are kept."""
        return self._rows.targets_beside(rows, masks)

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
        dtypes = {"x": fused.dtype, **dict.fromkeys(self._rows.masks, torch.int32)}
        tensors, wide = cache.replicas.call(partial(self._receive, ticket=ticket, dtypes=dtypes))
        images = tensors["x"]
        if fused.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        masks = {name: tensors[name] if name in wide else tensors[name].to(torch.uint8) for name in self._rows.masks}
        return Warped(images, masks, self._sizes(request.rows), self._rows.row_index.matrix(request.rows))

    def _receive(
        self, client: Any, options: Any, ticket: Ticket, dtypes: Mapping[str, torch.dtype]
    ) -> tuple[dict[str, Tensor], set[str]]:
        """The columns of an answer as tensors `[N, ...]`, and the masks that have numbers beyond 255.

        Each record batch is copied when it comes, while it is in the processor's caches.
        """
        tensors: dict[str, Tensor] = {}
        wide: set[str] = set()
        done = 0
        for batch in _answer(client, options, ticket):
            for name, dtype in dtypes.items():
                part = _tensors(batch, name)
                if name not in tensors:
                    tensors[name] = self._buffers.empty((len(ticket.rows), *part.shape[1:]), dtype)
                try:
                    np.copyto(tensors[name][done : done + len(part)].numpy(), part, casting="no")
                except (TypeError, ValueError):
                    raise _other_version(f"its {name} is {part.dtype}{list(part.shape)}, and not {dtype}") from None
            wide |= {name for name in self._rows.masks if any(batch.column(f"{name}_wide").to_pylist())}
            done += batch.num_rows
        return tensors, wide


def _tensors(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """A column of tensors of one shape."""
    try:
        values: NDArray[Any] = batch.column(name).to_numpy_ndarray()
    except (pa.ArrowException, AttributeError, KeyError, ValueError, TypeError):
        raise _other_version(f"its {name} is no column of tensors") from None
    return values


def _other_version(fault: str) -> ServiceError:
    return ServiceError(f"a server has sent what was not asked for: {fault}: its version may be another one")


def _name(request: BatchRequest) -> tuple[int, bytes, bytes]:
    return request.epoch, request.rows.tobytes(), request.hashes.tobytes()
