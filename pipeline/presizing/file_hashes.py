"""The hashes of a source's files, remembered on this machine with what tells a file from any other.

A cache holds hashes and no times, so that the same input gives the same bytes. To know without reading a file that it
is the one that was hashed, its stamp (size, both times of change, inode) is kept outside of the cache, as git does in
its index, in `$XDG_CACHE_HOME/onewarp/seen`. Nothing depends on it but speed: what is not there is read and hashed
again, as all is where there is no home to keep it in.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from ..dataset.sources import Stamp

_SETTLED = 2_000_000_000  # ns: a file changed again within the clock's tick would keep its stamp


@dataclass
class Seen:
    """Which content a file had when it had this stamp."""

    path: Path | None
    _known: dict[str, tuple[Stamp, str]] = field(default_factory=dict)

    def hash_of(self, key: str, stamp: Stamp | None) -> str | None:
        """The SHA-256 of a file with this stamp, if it was seen."""
        entry = self._known.get(key)
        return entry[1] if entry is not None and stamp == entry[0] else None

    def add(self, hashes: Mapping[str, str], stamps: Mapping[str, Stamp | None]) -> None:
        """Remember what was read just now; the stamps were taken before that."""
        lines = []
        for key, digest in hashes.items():
            stamp = stamps.get(key)
            if stamp is not None and _settled(stamp) and self._known.get(key) != (stamp, digest):
                self._known[key] = (stamp, digest)
                lines.append(_line(key, stamp, digest))
        self._append(lines)

    def _append(self, lines: Iterable[str]) -> None:
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError:  # a home that cannot be written to: the next run reads the files
            return


def seen(source: str, forget: bool = False) -> Seen:
    """What this machine remembers of the source at an absolute address; nothing, to begin with, with `forget`."""
    name = blake2b(source.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    home = _home()
    memory = Seen(None if home is None else home / "onewarp" / "seen" / f"{name}.jsonl")
    if memory.path is not None and not forget:
        with suppress(OSError), open(memory.path, encoding="utf-8", errors="replace") as file:  # none yet
            memory._known.update(entry for line in file for entry in _entries(line))
    return memory


def _settled(stamp: Stamp) -> bool:
    _, changed, touched, _ = stamp
    return time.time_ns() - max(changed, touched) > _SETTLED


def _entries(line: str) -> list[tuple[str, tuple[Stamp, str]]]:
    try:
        key, size, changed, touched, inode, digest = json.loads(line)
    except (ValueError, TypeError):  # cut off when the machine went down, or of another version
        return []
    return [(key, ((size, changed, touched, inode), digest))]


def _line(key: str, stamp: Stamp, digest: str) -> str:
    return json.dumps([key, *stamp, digest]) + "\n"


def _home() -> Path | None:
    """The folder of caches; None for a user without a home, as in containers."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return None
