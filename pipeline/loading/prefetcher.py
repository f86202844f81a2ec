"""What will be needed next, fetched ahead by threads: the order of an epoch is a function, so that it is known."""

import os
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


@dataclass(eq=False)
class _Entry(Generic[T]):
    """Something expected: who fetches it, how large it is, how often it was expected."""

    fetch: Callable[[], T]
    nbytes: int
    count: int = 1
    future: "Future[T] | None" = None  # None until it may be fetched


class Prefetcher(Generic[T]):
    """Fetches ahead what is expected, in that order; `take` gives it, and fetches what nobody expected.

    At most `most_bytes` are fetched and not yet taken: what is expected beyond waits until something is taken, and is
    fetched by who takes it earlier. `take` raises what fetching has raised. What was expected and will not be taken
    must be forgotten.

    >>> prefetcher = Prefetcher(threads=1, most_bytes=10)
    >>> for n in range(3):
    ...     prefetcher.expect(n, lambda n=n: n * n, nbytes=5)
    >>> [prefetcher.take(n, lambda: -1) for n in (2, 0, 7)], prefetcher.held
    ([-1, 0, -1], 5)
    """

    def __init__(self, threads: int, most_bytes: int) -> None:
        self._threads, self._most_bytes = threads, most_bytes
        _ALL.add(self)
        self._begin()

    def _begin(self) -> None:
        """Hold nothing."""
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._entries: dict[Hashable, _Entry[T]] = {}
        self.held = 0
        """Bytes that are being fetched, or are fetched and not yet taken."""

    def expect(self, key: Hashable, fetch: Callable[[], T], nbytes: int) -> None:
        """Fetch `nbytes` ahead, soon; `key` names them."""
        with self._lock:
            if entry := self._entries.get(key):
                entry.count += 1
                return
            self._entries[key] = _Entry(fetch, nbytes)
            self._start_some()

    def take(self, key: Hashable, fetch: Callable[[], T]) -> T:
        """What was expected under `key`, or what `fetch` gives now where nothing was, or not yet begun."""
        with self._lock:
            entry = self._entries.get(key)
            future = None if entry is None else entry.future
            self._release(key)
        if future is None:
            return fetch()
        try:
            return future.result()
        except CancelledError:  # it was forgotten by another, or everything was
            return fetch()

    def forget(self, key: Hashable) -> None:
        """Drop what was expected under `key` and will not be taken; no harm where there is nothing."""
        with self._lock:
            entry = self._entries.get(key)
            self._release(key)
            if entry is not None and entry.count == 0 and entry.future is not None:
                entry.future.cancel()

    def close(self) -> None:
        """Forget everything, and end the threads."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._entries.clear()
            self.held = 0
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _release(self, key: Hashable) -> None:
        """Count one expectation less; after the last one its bytes make room for others."""
        entry = self._entries.get(key)
        if entry is None:
            return
        entry.count -= 1
        if entry.count == 0:
            del self._entries[key]
            if entry.future is not None:
                self.held -= entry.nbytes
            self._start_some()

    def _start_some(self) -> None:
        """Begin to fetch what comes next, as far as there is room; one thing at least."""
        for entry in self._entries.values():
            if entry.future is not None:
                continue
            if self.held and self.held + entry.nbytes > self._most_bytes:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, "onewarp-prefetch")
            self.held += entry.nbytes
            entry.future = self._pool.submit(entry.fetch)


_ALL = WeakSet[Prefetcher[Any]]()


def _begin_all() -> None:
    for prefetcher in list(_ALL):
        prefetcher._begin()


os.register_at_fork(after_in_child=_begin_all)  # no thread goes on there: what they were fetching never comes
