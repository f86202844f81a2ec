"""From rows to batches, ahead of time and in a known order."""

import os
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, Self, Unpack
from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UsageError
from ...transforms.plan import Size
from ...transforms.transform import Split
from ...transforms.transform_lists import Transforms
from ...transforms.warp.threads import cores, share
from ..cache.reader import Cache
from ..order.orders import Indices, Picks, Stream, as_order, check_rows, name_of
from ..order.ranks import Share, Tail, from_environment
from .batch import Batch, Parts
from .batching import (
    Augmentation,
    BatchMaker,
    BatchRequest,
    OnDamage,
    ReadyBatch,
    WarpingRows,
    salt_hashes,
)
from .cache_rows import Reading, RowsSource, rows_of
from .clock import Clock, LoopStats
from .devices import device_for
from .indexed_rows import Checking
from .loader_settings import LoaderSettings
from .position import Position, integer, position_of
from .progressive import SizeOfEpoch, augmentations
from .rows import RowNumbers, Rows

_GROUP = 1024  # positions whose rows are computed in one call: numpy's overhead is that of some hundreds


class Loader(Generic[*Parts]):
    """An iterable of batches `(x, y)`, or `(x, y, keys)` with `keys=True`, over the rows of a split of a cache.

    `cache` is an opened cache, the path to one, or other rows (decoded from files, held in memory). `reading` and
    `checking` say how a cache is read and when its checksums are compared (see `CacheRows`), `warm` reads all of it
    once beforehand.

    `x` is uint8 `[N, H, W, 3]`, or packed where sizes differ, without `batch_tfms`; with them (a list of transforms,
    or what `fuse` made of them) it is what they make, `[N, 3, h, w]`, at `size` where one is given: a size, or a
    function of the epoch for progressive resizing. `y` is None without labels, a tensor for one target, and a
    mapping by name for several. A type checker takes both for tensors; where they are not, or keys stand behind them,
    say so: `Loader[Tensor, dict[str, Tensor]](...)`, `Loader[Tensor, Tensor, list[str]](..., keys=True)`.

    The order and every draw follow from `seed`, the epoch and the sample's key. Every loop is an epoch of its own,
    whether or not the one before ran to its end; `set_epoch` picks one. `state_dict` counts the samples delivered over
    all ranks, so that a run may go on with another world size, batch size or number of threads. `rank` and
    `world_size` come from RANK and WORLD_SIZE where they are not given. `indices` (row numbers within the split,
    finite or endless, a function of positions, or an order such as `Weighted`) are delivered as they stand.
    A loader's settings are fixed when it is made. It can be copied and pickled where its rows and transforms can.

    Samples of the split `train`, and of rows without splits, are augmented; `augment` says otherwise.

    On a CUDA `device` rows are copied and warped on streams of their own, ahead of the consumer's.

    With `threads` batches are made that many at a time, at least `prefetch` of them ahead of the one in use. With
    `damaged="replace"` a row whose bytes do not fit its checksum is set aside, listed in `set_aside` and replaced by
    the next good row of the split.

    Raises UsageError for settings that fit no batch: a split without rows, `tail="drop"` with fewer rows than one
    step takes, indices outside of the split.

    >>> from .rows import MemoryRows
    >>> rows = MemoryRows([np.full((2, 2, 3), i, np.uint8) for i in range(5)], labels=[0, 1, 0, 1, 1])
    >>> loader = Loader(rows, batch_size=2, shuffle=False)
    >>> [(tuple(x.shape), y.tolist()) for x, y in loader]
    [((2, 2, 2, 3), [0, 1]), ((2, 2, 2, 3), [0, 1]), ((1, 2, 2, 3), [1])]
    >>> len(loader), loader.state_dict()["epoch"]
    (3, 1)
    """

    def __init__(
        self,
        cache: Cache | RowsSource | Rows | str | os.PathLike[str],
        split: str | None = None,
        batch_size: int = 64,
        batch_tfms: Transforms | Augmentation | None = None,
        seed: int = 0,
        shuffle: bool = True,
        tail: Tail = "ragged",
        indices: Indices | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        device: torch.device | str | None = None,
        keys: bool = False,
        *,
        threads: int | None = None,
        prefetch: int = 2,
        damaged: OnDamage = "raise",
        size: Size | SizeOfEpoch | None = None,
        augment: bool | None = None,
        reading: Reading | None = None,
        checking: Checking | None = None,
        warm: bool = False,
    ) -> None:
        self.rows = rows_of(cache, reading=reading, checking=checking, warm=warm)
        self.split, self.shuffle, self.tail = split, shuffle, tail
        self.seed = integer("seed", seed)
        self.batch_size = integer("batch_size", batch_size, 1)
        self.rank = from_environment("RANK", 0) if rank is None else rank
        self.world_size = from_environment("WORLD_SIZE", 1) if world_size is None else world_size
        self.threads = cores() if threads is None else integer("threads", threads, 1)
        self.prefetch = integer("prefetch", prefetch, 1)
        self._others = {
            "batch_tfms": batch_tfms,
            "indices": indices,
            "device": device,
            "keys": keys,
            "damaged": damaged,
            "size": size,
            "augment": augment,
        }
        self._selection = self.rows.select(split)
        self._n = len(self.rows) if self._selection is None else len(self._selection)
        self._order = as_order(indices, self._n, shuffle=shuffle)
        self._next = Position(0, 0)  # where the next loop begins
        self._position = Position(0, 0)  # what the last loop has delivered
        self._device = device_for(torch.device(device or "cpu"))
        training = split in (None, "train") if augment is None else augment
        kind: Split = "train" if training else "valid"
        augmentation = augmentations(batch_tfms, size)
        warper = self.rows.warper(augmentation, seed, kind) if isinstance(self.rows, WarpingRows) else None
        if warper is None:
            augmentation = augmentations(batch_tfms, size, lambda a: self._device.bind(a, kind))
        self._maker = BatchMaker(
            rows=self.rows,
            augmentation=augmentation,
            seed=seed,
            split=kind,
            device=self._device,
            with_keys=keys,
            on_damage=damaged,
            selection=self._selection,
            warper=warper,
        )
        self._clock = Clock(self.threads)
        self._warned = False
        self._check()

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and name in vars(self):
            raise UsageError(f"a loader's {name} is fixed when it is made: make another, with {name}={value!r}")
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.rows, self._settings, self._next, self._position)

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("split", "batch_size", "seed", "shuffle", "tail", "rank", "world_size", "threads", "prefetch")
        return {name: getattr(self, name) for name in names} | self._others

    def in_order(self) -> Self:
        """A loader of the same samples, each once, in the order of the rows and not augmented: what predictions need.

        Of a list or a `Subset` these are its rows, of any other order all rows of the split.
        """
        rows = getattr(self._order, "all_rows", None)
        indices = None if rows is None else np.unique(rows())
        return self.with_settings(shuffle=False, tail="ragged", augment=False, indices=indices)

    def with_settings(self, **settings: Unpack[LoaderSettings]) -> Self:
        """A loader of the same rows with some of this one's settings (those of the constructor) replaced."""
        return type(self)(self.rows, **{**self._settings, **settings})

    def sample_keys(self) -> list[str]:
        """The keys of an epoch's samples over all ranks, in the order of the next loop.

        Raises UsageError where the order is endless.
        """
        if isinstance(self._order, Stream):
            raise UsageError(f"sample_keys must have an order with positions, but got {self._order}")
        picks = self._order.at(np.arange(self.total), self.seed, self.epoch)
        return self.rows.keys(self._numbers(picks.rows))

    def _check(self) -> None:
        share, name = self.share(), _split_name(self.split)
        if self._n == 0 or self._order.size == 0:
            raise UsageError(f"There is nothing to load: {name} has {self._n} rows, order {self._order}")
        if self.tail == "drop" and self._order.size is not None and self._order.size < share.stride:
            raise UsageError(
                f"tail='drop' needs at least batch_size x world_size = {share.stride} rows, but {name} "
                f"has {self._order.size}: take a smaller batch_size or another tail"
            )

    def share(self, start: int = 0) -> Share:
        """This rank's part of an epoch, from the position `start` on, which is counted over all ranks."""
        total = self._order.size
        return Share(
            np.iinfo(np.int64).max // 2 if total is None else total,
            self.batch_size,
            self.rank,
            self.world_size,
            self.tail,
            start,
        )

    def __len__(self) -> int:
        """Batches in an epoch on this rank; raises TypeError where the order is endless."""
        if self._order.size is None:
            raise TypeError(f"A loader with endless indices has no length ({self._order})")
        return len(self.share())

    @property
    def epoch(self) -> int:
        """The epoch of the next loop."""
        return self._next.epoch

    @property
    def augments(self) -> bool:
        """Whether samples are augmented as in training."""
        return self._maker.split == "train"

    def stats(self) -> LoopStats:
        """Where the time of this loader's loops went so far; of a part of them, it is the difference of two such.

        >>> from .rows import MemoryRows
        >>> loader = Loader(MemoryRows([np.zeros((2, 2, 3), np.uint8)] * 5), batch_size=2)
        >>> for _ in range(3):
        ...     before = loader.stats()
        ...     for batch in loader:
        ...         pass
        >>> loader.stats().samples, (loader.stats() - before).samples
        (15, 5)
        """
        return self._clock.stats

    @property
    def set_aside(self) -> dict[str, str]:
        """The damaged rows that were replaced: key to reason."""
        return {error.key: str(error) for error in self._maker.quarantine.values()}

    def set_epoch(self, epoch: int) -> None:
        """Let the next loop be over `epoch`, from its beginning. Raises UsageError for a negative one."""
        self._next = self._position = Position(integer("epoch", epoch, 0), 0)

    def state_dict(self) -> dict[str, Any]:
        """Where the last loop stands, in plain values, equal on all ranks: what was delivered, not what was read ahead.

        A loader that loads it delivers the rest of that epoch, also where the loop was left early.
        """
        return {**self._position._asdict(), **self._identity()}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Let the next loop go on where `state` was taken, at any world size.

        Raises UsageError for the state of other rows, another split, seed or order, and for what is no state.
        """
        self._next = self._position = position_of(state, self._identity(), self._most)

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "split": self.split,
            "order": name_of(self._order, self.seed),
            "fingerprint": self.rows.fingerprint,
        }

    @property
    def _most(self) -> int:
        """How many samples an epoch can deliver."""
        return self.share().total

    def replay(self, key: str, epoch: int, repeat: int = 0) -> tuple[Any, Any]:
        """The sample `key` as it is in the batches of `epoch`: `(x, y)`, not batched.

        `repeat` tells apart the copies of a row that an epoch holds several times, 0 being the first.
        """
        epoch, repeat = integer("epoch", epoch, 0), integer("repeat", repeat, 0)
        rows = np.array([self.rows.find(key)], np.int64)
        request = self._request(rows, np.array([repeat]), np.ones(1, bool), epoch)
        x, y = self._device.acquire(*self._maker.make(request)[:2])[:2]
        return _first(x), _first(y)

    def batch_at(self, positions: Sequence[int], epoch: int) -> Batch[*Parts]:
        """The samples at these positions of an epoch's order, for those who share them out themselves.

        Raises UsageError where the order is endless, and so has no positions.
        """
        if isinstance(self._order, Stream):
            raise UsageError(f"batch_at must have an order with positions, but got {self._order}: iterate over it")
        epoch = integer("epoch", epoch, 0)
        picks = self._order.at(np.asarray(positions, np.int64), self.seed, epoch)
        request = self._request(self._numbers(picks.rows), picks.repeats, np.ones(len(picks.rows), bool), epoch)
        return self._device.acquire(*self._maker.make(request)[:2])

    @property
    def total(self) -> int:
        """Samples in an epoch over all ranks; raises TypeError where the order is endless."""
        if self._order.size is None:
            raise TypeError(f"A loader with endless indices has no total ({self._order})")
        return self._order.size

    def peek(self) -> Batch[*Parts]:
        """The first batch of the next loop; the loader stands where it stood."""
        share = self.share(self._next.delivered)
        ready = next(self._make_batches(self._requests(share, self._next.epoch)))
        return self._device.acquire(ready.batch, ready.event)

    def __iter__(self) -> Iterator[Batch[*Parts]]:
        epoch, start = self._next
        self._next, self._position = Position(epoch + 1, 0), self._next
        self._warn_of_unequal_ranks()
        share = self.share(start)
        ahead = self._make_batches(self._requests(share, epoch))
        for batches, ready in enumerate(self._clock.watch(ahead), 1):
            self._position = Position(epoch, share.position_after(batches))
            yield self._device.acquire(ready.batch, ready.event)
        self._position = self._next  # or what set_epoch was called with within the loop

    def _warn_of_unequal_ranks(self) -> None:
        """Warn, once, where ranks that step together have unequal numbers of training batches."""
        if self.world_size == 1 or self._warned or not self.augments or not _in_group() or self.share().equal:
            return
        self._warned = True
        warnings.warn(
            f"{self.world_size} ranks have unequal numbers of batches, and one that has none waits or is waited for "
            "where they step together (DDP): make the loaders with tail='drop' or tail='pad'",
            stacklevel=3,
        )

    def _make_batches(self, requests: Iterator[BatchRequest]) -> Iterator[ReadyBatch]:
        """The batches of `requests` in order, which threads make ahead of time; all threads end with the loop."""
        pending: deque[tuple[BatchRequest, Future[ReadyBatch]]] = deque()
        expected: deque[BatchRequest] = deque()
        ahead = getattr(self.rows, "ahead", 1)
        own = max(1, torch.get_num_threads() // self.threads)
        pool = ThreadPoolExecutor(self.threads, "onewarp-loader", initializer=share, initargs=(own,))
        end = finalize(pool, pool.shutdown, wait=True, cancel_futures=True)  # a loop may be open when Python ends
        try:
            while True:
                following = list(islice(requests, ahead + 1 - len(expected)))
                expected.extend(following)
                if not expected:
                    break
                request = expected.popleft()
                following = [other for other in following if other is not request]
                self._maker.expect(following)
                pending.append((request, pool.submit(self._maker.make, request, following)))
                if len(pending) > max(self.prefetch, self.threads):
                    yield pending.popleft()[1].result()
            while pending:
                yield pending.popleft()[1].result()
        finally:
            end()
            self._maker.forget([*(request for request, _ in pending), *expected])

    def _requests(self, share: Share, epoch: int) -> Iterator[BatchRequest]:
        for picks, valid in self._picks(share, epoch):
            yield self._request(self._numbers(picks.rows), picks.repeats, valid, epoch)

    def _picks(self, share: Share, epoch: int) -> Iterator[tuple[Picks, NDArray[np.bool_]]]:
        """The picks of this rank, batch by batch, and which of them are not padding."""
        if isinstance(self._order, Stream):
            for picks in self._order.chunks(share.stride, skip=share.start):
                picks_here = Picks(*(column[share.rank :: share.world_size] for column in picks))
                if len(picks_here.rows):
                    yield picks_here, np.ones(len(picks_here.rows), bool)
            return
        group = max(1, _GROUP // self.batch_size)
        for first in range(0, len(share), group):
            slices = [share.slice(batch) for batch in range(first, min(first + group, len(share)))]
            picks_of_group = self._order.at(np.concatenate([s.positions for s in slices]), self.seed, epoch)
            cuts = np.cumsum([len(s.valid) for s in slices])[:-1]
            for part, rows, repeats in zip(slices, *(np.split(column, cuts) for column in picks_of_group), strict=True):
                yield Picks(rows, repeats), part.valid

    def _numbers(self, indices: RowNumbers) -> RowNumbers:
        """Row numbers of the cache for indices within the split."""
        check_rows(indices, self._n, _split_name(self.split))
        return indices if self._selection is None else self._selection[indices]

    def _request(
        self, rows: RowNumbers, repeats: NDArray[np.int64], valid: NDArray[np.bool_], epoch: int
    ) -> BatchRequest:
        return BatchRequest(rows, salt_hashes(self.rows.key_hashes(rows), repeats), valid, epoch)


AnyLoader = Loader[*tuple[Any, ...]]
"""A loader of whatever it was told to deliver."""


def _restore(kind: type[Loader], rows: Rows, settings: dict[str, Any], following: Position, place: Position) -> Loader:
    """A loader as it was pickled, at the position where it stood."""
    loader = kind(rows, **settings)
    loader._next, loader._position = following, place
    return loader


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _first(part) for name, part in value.items()}
    return None if value is None else value[0]


def _split_name(split: str | None) -> str:
    return "the cache" if split is None else f"split {split!r}"


def _in_group() -> bool:
    """Whether several processes train together through torch."""
    group = torch.distributed
    return group.is_available() and group.is_initialized() and group.get_world_size() > 1
