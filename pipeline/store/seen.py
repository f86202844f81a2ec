"""The hashes of a source's files, remembered on this machine with their size and time of change.

A cache holds hashes and no times, so that the same input gives the same bytes. To know without reading a file that it
is the one that was hashed, its size and time are kept outside of the cache, as git does in its index, in
`$XDG_CACHE_HOME/onewarp/seen`. Nothing depends on it but speed: what is not there is read and hashed again.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

Stamp = tuple[int, int]

_SETTLED = 2_000_000_000  # ns: a file changed again within the clock's tick would keep its stamp


@dataclass
class Seen:
    """Which content a file had when it had this stamp."""

    path: Path
    _known: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    def hash_of(self, key: str, stamp: Stamp | None) -> str | None:
        """The SHA-256 of a file with this stamp, if it was seen."""
        entry = self._known.get(key)
        return entry[2] if entry is not None and stamp == entry[:2] else None

    def add(self, hashes: Mapping[str, str], stamps: Mapping[str, Stamp | None]) -> None:
        """Remember what was read just now; the stamps were taken before that."""
        lines = []
        for key, digest in hashes.items():
            stamp = stamps.get(key)
            if stamp is not None and time.time_ns() - stamp[1] > _SETTLED and self._known.get(key) != (*stamp, digest):
                self._known[key] = (*stamp, digest)
                lines.append(_line(key, stamp, digest))
        self._append(lines)

    def _append(self, lines: Iterable[str]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError:  # a home that cannot be written to: the next run reads the files
            return


def seen(source: str) -> Seen:
    """What this machine remembers of the source at an absolute address."""
    name = blake2b(source.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    memory = Seen(_home() / "onewarp" / "seen" / f"{name}.jsonl")
    try:
        with open(memory.path, encoding="utf-8") as file:
            memory._known.update(entry for line in file for entry in _entries(line))
    except OSError:  # none yet
        pass
    return memory


def _entries(line: str) -> list[tuple[str, tuple[int, int, str]]]:
    try:
        key, size, changed, digest = json.loads(line)
    except ValueError:  # cut off when the machine went down
        return []
    return [(key, (size, changed, digest))]


def _line(key: str, stamp: Stamp, digest: str) -> str:
    return json.dumps([key, *stamp, digest]) + "\n"


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
