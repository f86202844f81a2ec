"""Photos that came from other machines, kept beside a cache that grows, until a commit makes rows of them and after.

| in the folder | what it is |
|---|---|
| `photos/SHA256` | the bytes of a photo, by what they are; never changed once they are there |
| `records.jsonl` | a line for each photo as it came: key, SHA-256, bytes, label, split; the last of a key counts |

A photo is on the disk before its line is, and a line before it is acknowledged. What a process that was killed leaves
is a photo without a line, or a line that is cut off: neither counts, and the next writer goes on behind it. Several
processes may write: a lock of the system, which ends with its process, lets one in after the other.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from uuid import uuid4

from ..cache.atomic_files import TEMPORARY, sweep, sync_folder
from ..cache.recipe import canonical
from ..dataset.sources import Item, Items, TableRow, read_file
from .file_hashes import HashMemo

PHOTOS, RECORDS, _WRITER = "photos", "records.jsonl", "writer"

Label = str | int | list[str | int] | None


class Photo(NamedTuple):
    """A photo as it comes: its key, the bytes of its file, its label and its split."""

    key: str
    data: bytes | memoryview
    label: Label = None
    split: str | bool | None = None


class Record(NamedTuple):
    """What is known of a photo: its key, the SHA-256 and the number of its bytes, its label and its split."""

    key: str
    sha256: str
    size: int
    label: Label = None
    split: str | bool | None = None


def record_of(photo: Photo) -> Record:
    """The record of a photo."""
    return Record(photo.key, sha256(photo.data).hexdigest(), len(photo.data), photo.label, photo.split)


class Spool:
    """The photos in a folder, which is made where it is not there. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[str, Record] = {}
        self._sizes: dict[str, int] = {}  # of each photo, by SHA-256
        self._total = 0
        self._offset = 0
        self._reading = Lock()
        (folder / PHOTOS).mkdir(parents=True, exist_ok=True)
        for place in (folder, folder.parent):
            sync_folder(place)

    def records(self) -> dict[str, Record]:
        """The record of each key, as of now; a mapping that is the caller's."""
        with self._reading:
            self._read_on()
            return dict(self._records)

    def missing(self, records: Sequence[Record]) -> list[int]:
        """The places in `records` of those that the spool has not got, or has otherwise."""
        with self._reading:
            self._read_on()
            return [place for place, record in enumerate(records) if not self._has(record)]

    def size(self) -> int:
        """The bytes of all photos and of the records."""
        with self._reading:
            self._read_on()
            return self._total + self._offset

    def growth(self, records: Iterable[Record]) -> int:
        """The bytes by which these photos would make the spool larger; photos alike are kept once."""
        with self._reading:
            new = self._new(records)
            sizes = {record.sha256: record.size for record in new if record.sha256 not in self._sizes}
            return sum(sizes.values()) + len(_lines(new))

    def add(self, photos: Sequence[tuple[Record, bytes | memoryview]]) -> None:
        """Keep photos; when this returns they are on the disk, whatever happens to the process or the machine."""
        data = {record.sha256: content for record, content in photos}
        with self._only_writer():
            sweep(self.folder)
            with self._reading:
                new = self._new(record for record, _ in photos)
            for record in new:
                self._write_photo(record.sha256, data[record.sha256])
            sync_folder(self.folder / PHOTOS)
            self._append(_lines(new))

    def _new(self, records: Iterable[Record]) -> list[Record]:
        """Those of some records that change something where they come one after the other."""
        self._read_on()
        changed: dict[str, Record] = {}
        new = []
        for record in records:
            there = changed[record.key] == record if record.key in changed else self._has(record)
            if not there:
                changed[record.key] = record
                new.append(record)
        return new

    def _has(self, record: Record) -> bool:
        return self._records.get(record.key) == record and (self.folder / PHOTOS / record.sha256).exists()

    def _read_on(self) -> None:
        """Read the lines that have come since the last call, up to the last that is whole."""
        try:
            with open(self.folder / RECORDS, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        for record in filter(None, map(_parse, whole.split(b"\n"))):
            self._records[record.key] = record
            if record.sha256 not in self._sizes:
                self._sizes[record.sha256] = record.size
                self._total += record.size
        self._offset += len(whole)

    def _write_photo(self, digest: str, data: bytes | memoryview) -> None:
        path = self.folder / PHOTOS / digest
        if path.exists():
            return
        temporary = self.folder / f"{TEMPORARY}{uuid4().hex}"
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def _append(self, lines: bytes) -> None:
        path = self.folder / RECORDS
        is_new = not path.exists()
        with open(path, "a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":  # a line that was cut off
                lines = b"\n" + lines
            while lines:
                lines = lines[file.write(lines) :]
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.folder)

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        """Wait until nobody else writes, in this process or another, and keep others out."""
        descriptor = os.open(self.folder / _WRITER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class SpoolSource:
    """Photos of a spool as a source: those of these records, whatever comes later."""

    folder: Path
    records: tuple[Record, ...] = field(repr=False)

    def items(self) -> Items:
        """An item for each photo, sorted by key, whose labeller and splitter see a row of key, label and split."""
        return Items(self._item(record) for record in sorted(self.records))

    def hashes(self, items: Sequence[Item]) -> HashMemo:
        """The SHA-256 of items, which are the names of their files."""
        return HashMemo(
            None, {item.key: (item.stamp, Path(item.place).name) for item in items if item.stamp is not None}
        )

    def read(self, place: Any) -> bytes:
        """The bytes of the photo at a path."""
        return read_file(place)

    def where(self) -> str:
        """The folder's absolute path."""
        return os.path.abspath(self.folder)

    def __getstate__(self) -> dict[str, Any]:
        """The settings without the records: a worker gets the place of each photo."""
        return {"folder": self.folder, "records": ()}

    def _item(self, record: Record) -> Item:
        path = self.folder / PHOTOS / record.sha256
        view = TableRow(record.key, {"key": record.key, "label": record.label, "split": record.split})
        return Item(record.key, str(path), view, (record.size, 0, 0, 0))  # a photo's content is its name


def _lines(records: Iterable[Record]) -> bytes:
    return "".join(f"{canonical(list(record))}\n" for record in records).encode()


def _parse(line: bytes) -> Record | None:
    """The record in a line; None for one that is cut off, or no record."""
    try:
        record = Record(*json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    fits = isinstance(record.key, str) and isinstance(record.sha256, str) and isinstance(record.size, int)
    return record if fits else None
