"""The hashes of a source's files, remembered on this machine together with the files' stamps.

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
class HashMemo:
    """The SHA-256 that each file had, by key, together with the stamp that the file had then."""

    path: Path | None
    _entries: dict[str, tuple[Stamp, str]] = field(default_factory=dict)

    def hash_of(self, key: str, stamp: Stamp | None) -> str | None:
        """The SHA-256 of a file, if the memo knows it under this stamp; else None."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and stamp == entry[0] else None

    def add(self, hashes: Mapping[str, str], stamps: Mapping[str, Stamp | None]) -> None:
        """Remember hashes of files that were just read; `stamps` were taken before the reading."""
        lines = []
        for key, digest in hashes.items():
            stamp = stamps.get(key)
            if stamp is not None and _is_settled(stamp) and self._entries.get(key) != (stamp, digest):
                self._entries[key] = (stamp, digest)
                lines.append(_format_line(key, stamp, digest))
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


def load_hash_memo(source: str, forget: bool = False) -> HashMemo:
    """The memo that this machine keeps for the source at an absolute address; `forget` begins with an empty one."""
    name = blake2b(source.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    home = _home()
    memory = HashMemo(None if home is None else home / "onewarp" / "seen" / f"{name}.jsonl")
    if memory.path is not None and not forget:
        with suppress(OSError), open(memory.path, encoding="utf-8", errors="replace") as file:  # none yet
            memory._entries.update(entry for line in file for entry in _parse_line(line))
    return memory


def _is_settled(stamp: Stamp) -> bool:
    _, changed, status_changed, _ = stamp
    return time.time_ns() - max(changed, status_changed) > _SETTLED


def _parse_line(line: str) -> list[tuple[str, tuple[Stamp, str]]]:
    try:
        key, size, changed, status_changed, inode, digest = json.loads(line)
    except (ValueError, TypeError):  # cut off when the machine went down, or of another version
        return []
    return [(key, ((size, changed, status_changed, inode), digest))]


def _format_line(key: str, stamp: Stamp, digest: str) -> str:
    return json.dumps([key, *stamp, digest]) + "\n"


def _home() -> Path | None:
    """The folder of caches; None for a user without a home, as in containers."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return None
