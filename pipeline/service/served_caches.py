"""Which caches a server has, by name, and what it says of each."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from threading import Lock

from ...errors import CacheError, UsageError
from ...transforms.warp.buffers import Buffers
from ..cache.footer import COMMIT
from ..cache.reader import Cache
from ..loading.cache_rows import CacheRows
from .tickets import MOST_BATCH

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RECHECK = 1.0  # seconds between two looks for another cache in the same folder
_GENERATIONS = 4  # how many of a cache are answered for at most, the current one among them


@dataclass(frozen=True)
class ServedCache:
    """One generation of a cache: its rows never change, whatever becomes of its folder."""

    name: str
    cache: Cache
    rows: CacheRows
    buffers: Buffers = field(default_factory=partial(Buffers, largest=2 * MOST_BATCH), repr=False)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the content: what a ticket names."""
        return self.rows.fingerprint

    @cached_property
    def description(self) -> bytes:
        """What the server says of the cache: JSON."""
        footer = {name: value for name, value in self.cache.footer.items() if name != "pipeline"}
        facts = {
            "version": 1,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "rows": len(self.cache),
            "splits": self.cache.splits,
            "vocab": self.cache.vocab,
            "footer": footer,
        }
        return json.dumps(facts).encode()


class ServedCaches:
    """The caches of a server, by name, each in its current generation and in those before it.

    `folders` are the caches' folders by name; those in `growing` may still be empty. Raises `UsageError` for a name
    that cannot stand in an address, and `CacheError` for a cache that cannot be opened.
    """

    def __init__(self, folders: Mapping[str, Path], growing: frozenset[str] = frozenset()) -> None:
        for name in folders:
            if not _NAME.fullmatch(name):
                raise UsageError(f"the name of a cache must be letters, digits, '.', '_' and '-', but got {name!r}")
        for name in sorted(growing - folders.keys()):
            raise UsageError(f"writable must be the name of a cache ({', '.join(folders)}), but got {name!r}")
        self.folders = dict(folders)
        self._generations: dict[str, list[ServedCache]] = {name: [] for name in folders}
        self._looked: dict[str, float] = {}
        self._lock = Lock()
        for name, folder in self.folders.items():
            if name not in growing or (folder / COMMIT).exists():
                self._generations[name].append(_open(name, folder))
                self._looked[name] = time.monotonic()

    @property
    def names(self) -> list[str]:
        """The names of the caches."""
        return list(self.folders)

    def current(self, name: str) -> ServedCache:
        """The cache that lies under a name now; `UsageError` where the server has no such name, or no row yet."""
        if name not in self.folders:
            raise UsageError(f"the server has no cache {name!r}: it has {', '.join(self.folders) or 'none'}")
        self._renew(name)
        generations = self._generations[name]
        if not generations:
            raise UsageError(f"the cache {name!r} has no rows yet: put some, and commit them")
        return generations[-1]

    def has_rows(self, name: str) -> bool:
        """Whether there is a cache under the name: one that grows may be empty yet."""
        self._renew(name)
        return bool(self._generations[name])

    def get(self, name: str, fingerprint: str) -> ServedCache:
        """The generation of a cache with this fingerprint; `UsageError` where it is there no more."""
        current = self.current(name)
        for served in reversed(self._generations[name]):
            if served.fingerprint == fingerprint:
                return served
        raise UsageError(
            f"the cache {name!r} has the fingerprint {current.fingerprint}, and the ticket is for "
            f"{fingerprint[:64]!r}: the cache was built again, connect again"
        )

    def renew(self, name: str) -> None:
        """Look now whether another cache lies in the folder, and serve that one too."""
        self._looked.pop(name, None)
        self._renew(name)

    def release_memory(self) -> None:
        """Let go of memory that is kept for the next requests."""
        for served in chain.from_iterable(self._generations.values()):
            served.buffers.clear()

    def _renew(self, name: str) -> None:
        now = time.monotonic()
        if now - self._looked.get(name, -_RECHECK) < _RECHECK:
            return
        with self._lock:
            generations = self._generations[name]
            if now - self._looked.get(name, -_RECHECK) < _RECHECK:
                return
            self._looked[name] = now
            if generations and not generations[-1].cache.is_replaced():
                return
            try:
                latest = _open(name, self.folders[name])
            except CacheError:
                return  # half a cache, or none: what was opened is still whole
            self._generations[name] = [*generations[1 - _GENERATIONS :], latest]


def _open(name: str, folder: Path) -> ServedCache:
    cache = Cache.open(folder)
    if cache.small.file is None:
        raise CacheError(
            f"{folder} has format 2, which is not served: run the same presize again, it renews the format"
        )
    return ServedCache(name, cache, CacheRows(cache))
