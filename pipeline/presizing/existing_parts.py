"""What earlier runs have left of a cache, and what of it can be taken over."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import CacheError
from ..cache.atomic_files import files_like
from ..cache.parts import Part, read_part
from .part_task import Known

Listing = frozenset[tuple[str, int, int, int]]
"""The files of a cache: name, inode, size and time of change of each."""


@dataclass
class Earlier:
    """What earlier runs have left in a cache's folder: whole parts, listed in the index or not."""

    parts: list[Part] = field(default_factory=list)
    folder: Path | None = None
    listing: Listing = frozenset()
    _listed: tuple[int, list[dict[str, Any]]] = (-1, [])
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)
    _refusals: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """One more part; its rows stand in front of those of the same key before it."""
        number = len(self.parts)
        self.parts.append(part)
        for row, key in enumerate(part.rows.column("key").to_pylist()):
            self._places[key] = (number, row)
        for row, entry in enumerate(part.rejected):
            self._refusals[entry.key] = (number, row)

    def known(self, key: str, limits: dict[str, Any]) -> Known | None:
        """What is known of a file, as far as it holds under today's limits."""
        if key in self._places:
            number, place = self._places[key]
            part = self.parts[number]
            row = self._rows(number)[place]
            if row["original_height"] * row["original_width"] > limits["max_pixels"]:
                return None
            return Known(row["sha256"], row, (str(part.path), row["offset"]))
        if key in self._refusals:
            number, place = self._refusals[key]
            part = self.parts[number]
            entry = part.rejected[place]
            if entry.sha256 is not None and part.said["limits"] == limits:
                return Known(entry.sha256, rejected=entry)
        return None

    def refused(self) -> frozenset[str]:
        """The keys of the files that were refused, and are no rows anywhere."""
        return frozenset(self._refusals.keys() - self._places.keys())

    def _rows(self, number: int) -> list[dict[str, Any]]:
        """The rows of a part as mappings; files are asked for part by part."""
        if self._listed[0] != number:
            self._listed = (number, self.parts[number].rows.to_pylist())
        return self._listed[1]

    def holding(self, keys: Sequence[str], limits: dict[str, Any]) -> Part | None:
        """The part that holds just these files, rows and rejected ones together, and could hold them today."""
        first = self._places.get(keys[0]) or self._refusals.get(keys[0])
        if first is None:
            return None
        part = self.parts[first[0]]
        held = {*part.rows.column("key").to_pylist(), *(entry.key for entry in part.rejected)}
        settled = not part.damaged and all(entry.sha256 is not None for entry in part.rejected)
        return part if settled and held == set(keys) and part.said["limits"] == limits else None

    def is_outdated(self) -> bool:
        """Whether files of the cache have come, gone or changed since this was read."""
        return self.folder is not None and listing_of(self.folder) != self.listing


def listing_of(folder: Path) -> Listing:
    """The files of a cache as they are now."""
    found = set()
    for path in files_like(folder, "part-*", "_*"):
        with suppress(FileNotFoundError):  # another process has just removed it
            state = path.stat()
            found.add((path.name, state.st_ino, state.st_size, state.st_mtime_ns))
    return frozenset(found)


def earlier_parts(folder: Path, whole: bool) -> Earlier:
    """The whole parts in a folder, whether the footer lists them or not; `whole`: with their pixels compared."""
    earlier = Earlier(folder=folder, listing=listing_of(folder))
    paths = files_like(folder, "part-*.parquet")
    with ThreadPoolExecutor(os.cpu_count()) as readers:  # which mostly wait, or compute checksums
        for part in readers.map(partial(_part, whole=whole), paths):
            if part is not None:
                earlier.add(part)
    return earlier


def _part(path: Path, whole: bool) -> Part | None:
    try:
        return read_part(path, whole)
    except CacheError:  # cut off or damaged behind our back: made anew
        return None
