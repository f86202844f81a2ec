"""The parts that earlier runs have left in a cache's folder, and what of them a new run can use."""

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
from .part_task import PriorResult

Listing = frozenset[tuple[str, int, int, int]]
"""The files of a cache: name, inode, size and time of change of each."""


@dataclass
class ExistingParts:
    """The whole parts in a cache's folder, whether the cache's index lists them or not."""

    parts: list[Part] = field(default_factory=list)
    folder: Path | None = None
    listing: Listing = frozenset()
    _part_rows: tuple[int, list[dict[str, Any]]] = (-1, [])
    _row_locations: dict[str, tuple[int, int]] = field(default_factory=dict)
    _rejection_locations: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Add a part, whose rows win over rows of the same key in parts that were added before."""
        number = len(self.parts)
        self.parts.append(part)
        for row, key in enumerate(part.rows.column("key").to_pylist()):
            self._row_locations[key] = (number, row)
        for row, entry in enumerate(part.rejected):
            self._rejection_locations[entry.key] = (number, row)

    def find(self, key: str, limits: dict[str, Any]) -> PriorResult | None:
        """The prior result of a file, None where there is none that is valid under these limits."""
        if key in self._row_locations:
            number, row_in_part = self._row_locations[key]
            part = self.parts[number]
            row = self._rows(number)[row_in_part]
            if row["original_height"] * row["original_width"] > limits["max_pixels"]:
                return None
            return PriorResult(row["sha256"], row, (str(part.path), row["offset"]))
        if key in self._rejection_locations:
            number, row_in_part = self._rejection_locations[key]
            part = self.parts[number]
            entry = part.rejected[row_in_part]
            if entry.sha256 is not None and part.footer["limits"] == limits:
                return PriorResult(entry.sha256, rejected=entry)
        return None

    def rejections(self) -> frozenset[str]:
        """The keys of the files that were rejected, and are a row of no part."""
        return frozenset(self._rejection_locations.keys() - self._row_locations.keys())

    def _rows(self, number: int) -> list[dict[str, Any]]:
        """The rows of a part as mappings, kept for the next call: callers go from part to part."""
        if self._part_rows[0] != number:
            self._part_rows = (number, self.parts[number].rows.to_pylist())
        return self._part_rows[1]

    def find_part(self, keys: Sequence[str], limits: dict[str, Any]) -> Part | None:
        """The part whose rows and rejections are exactly these files, under the same limits; None without one."""
        first = self._row_locations.get(keys[0]) or self._rejection_locations.get(keys[0])
        if first is None:
            return None
        part = self.parts[first[0]]
        keys_in_part = {*part.rows.column("key").to_pylist(), *(entry.key for entry in part.rejected)}
        complete = not part.damaged and all(entry.sha256 is not None for entry in part.rejected)
        return part if complete and keys_in_part == set(keys) and part.footer["limits"] == limits else None

    def is_outdated(self) -> bool:
        """Whether files of the cache have come, gone or changed since its parts were read."""
        return self.folder is not None and listing_of(self.folder) != self.listing


def listing_of(folder: Path) -> Listing:
    """The state of a cache's files now."""
    states = set()
    for path in files_like(folder, "part-*", "_*"):
        with suppress(FileNotFoundError):  # another process has just removed it
            state = path.stat()
            states.add((path.name, state.st_ino, state.st_size, state.st_mtime_ns))
    return frozenset(states)


def find_parts(folder: Path, verify: bool) -> ExistingParts:
    """Read the whole parts in a folder; `verify` compares their pixels with the checksums."""
    existing = ExistingParts(folder=folder, listing=listing_of(folder))
    paths = files_like(folder, "part-*.parquet")
    with ThreadPoolExecutor(os.cpu_count()) as readers:  # mostly waiting for the disk, or computing checksums
        for part in readers.map(partial(_part, verify=verify), paths):
            if part is not None:
                existing.add(part)
    return existing


def _part(path: Path, verify: bool) -> Part | None:
    try:
        return read_part(path, verify)
    except CacheError:  # cut off or damaged: the part is made anew
        return None
