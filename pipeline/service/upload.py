"""How photos are sent to a cache that grows: what the server has not got yet, a few at a time, then a commit."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ...errors import UsageError
from ...transforms.category import is_missing, label_of
from ..dataset.keys import key_fault
from ..dataset.sources import read_file
from ..presizing.growth import Photo
from ..presizing.spool import Record, record_of
from .tickets import VERSION

_CHUNK, _BATCH, _MOST_ROWS = 16 << 20, 4 << 20, 1024

OpenPut = Callable[[bytes, pa.Schema], tuple[Any, Any]]
"""A stream of `do_put` for a command and a schema: its writer of record batches, and its reader of metadata."""

Act = Callable[[str, bytes], Iterable[bytes]]
"""The results of an action with a body."""

Entry = tuple[Any, ...]
"""A key, the path or the bytes of a file, and if one likes a label and a split."""


@dataclass
class PutSummary:
    """What became of photos: how many were `sent`, how many were `there` already, and by key why some were refused."""

    sent: int = 0
    there: int = 0
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CommitSummary:
    """The cache after a commit: its rows, by key why photos were rejected, how many were decoded, copied and kept.

    `fingerprint` is that of the new content.
    """

    rows: int
    rejected: dict[str, str]
    decoded: int
    copied: int
    kept: int
    encoding: str
    seconds: float
    fingerprint: str


@dataclass(frozen=True)
class Upload:
    """The cache of a name on a server, to which photos are sent through `open_put` and `act`."""

    cache: str
    open_put: OpenPut
    act: Act

    def put(self, entries: Iterable[Entry]) -> PutSummary:
        """Send photos that the server has not got: (key, path or bytes), and if one likes a label and a split.

        What is acknowledged stays: after an error, or in another process, the same call goes on with the rest. A photo
        whose key is there takes the place of the one before. Photos that cannot be read, or that the server refuses,
        are in the summary with the reason. Raises `UsageError` for an entry that is no photo, and `LabelError` for a
        label that is none.
        """
        summary = PutSummary()
        for photos in _chunks(map(_photo, entries), summary):
            records = [record_of(*photo) for photo in photos]
            missing = self._missing(records)
            summary.there += len(photos) - len(missing)
            self._send([photos[place] for place in missing], summary)
        return summary

    def commit(self, verify: bool = False, report: Callable[[int, str], object] | None = None) -> CommitSummary:
        """Make all photos that the server has got the cache, and wait until it is.

        `report` gets how many photos are done, and a line. With `verify` the server reads the rows that stay, and makes
        damaged ones anew. A commit that was begun goes on when this process ends; the same call waits for it.
        """
        rejected: dict[str, str] = {}
        for message in self._results("commit", {"verify": verify}):
            if "summary" in message:
                counts = {name: value for name, value in message["summary"].items() if name != "rejected"}
                return CommitSummary(rejected=rejected, **counts)
            rejected |= dict(message.get("rejected", ()))
            if report is not None and "progress" in message:
                report(message["progress"]["done"], message["progress"]["says"])
        raise UsageError(f"the server did not say how the commit of cache {self.cache} ended: commit again")

    def _missing(self, records: Sequence[Record]) -> list[int]:
        (answer,) = self._results("missing", {"photos": [list(record) for record in records]})
        places: list[int] = answer["missing"]
        return places

    def _send(self, photos: Sequence[Photo], summary: PutSummary) -> None:
        if not photos:
            return
        batches = _batches(photos)
        writer, reader = self.open_put(self._body({}), batches[0].schema)
        with writer:
            for batch in batches:
                writer.write_batch(batch)
            writer.done_writing()
            kept = 0
            for _ in batches:
                answer = reader.read()
                if answer is None:
                    raise UsageError("the server did not acknowledge all photos: put them again")
                values = json.loads(answer.to_pybytes())
                kept = values["kept"]
                summary.refused |= {photos[entry["row"]].key: entry["reason"] for entry in values["refused"]}
        summary.sent += kept

    def _results(self, action: str, fields: dict[str, Any]) -> Iterator[Any]:
        return map(json.loads, self.act(action, self._body(fields)))

    def _body(self, fields: dict[str, Any]) -> bytes:
        return json.dumps({"version": VERSION, "cache": self.cache, **fields}, separators=(",", ":")).encode()


def _photo(entry: Entry) -> Photo | tuple[str, str]:
    """The photo of an entry, or its key and why it cannot be read."""
    if not 2 <= len(entry) <= 4 or not isinstance(entry[0], str):
        raise UsageError(
            f"each photo must be a key, a path or bytes, and if one likes a label and a split, but got {entry!r:.80}"
        )
    key, data, label, split = [*entry, None, None][:4]
    if (fault := key_fault(key)) is not None:
        return key, fault
    if isinstance(data, str | os.PathLike):
        try:
            data = read_file(data)
        except OSError as error:
            return key, f"cannot be read: {error.strerror or error}"
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"a photo must be a path or bytes, but that of {key!r} is of {type(data).__name__}")
    several = isinstance(label, list | tuple)
    labels: Any = [label_of(name) for name in label] if several else label_of(label)
    split = None if is_missing(split) else split
    if not isinstance(split, str | bool | None):
        raise UsageError(f"a split must be a text, true or false, but that of {key!r} is {split!r:.60}")
    return Photo(key, bytes(data), labels, split)


def _chunks(photos: Iterable[Photo | tuple[str, str]], summary: PutSummary) -> Iterator[list[Photo]]:
    """Photos, as many as are asked for and sent at once; those that cannot be read go to the summary."""
    chunk: list[Photo] = []
    size = 0
    for photo in photos:
        if not isinstance(photo, Photo):
            summary.refused[photo[0]] = photo[1]
            continue
        if chunk and (size + len(photo.data) > _CHUNK or len(chunk) == _MOST_ROWS):
            yield chunk
            chunk, size = [], 0
        chunk.append(photo)
        size += len(photo.data)
    if chunk:
        yield chunk


def _batches(photos: Sequence[Photo]) -> list[pa.RecordBatch]:
    """Photos as record batches of one schema."""
    columns: dict[str, list[Any]] = {
        "key": [photo.key for photo in photos],
        "image": [photo.data for photo in photos],
        "label": [photo.label for photo in photos],
        "split": [photo.split for photo in photos],
    }
    columns = {name: values for name, values in columns.items() if any(value is not None for value in values)}
    try:
        table = pa.RecordBatch.from_pydict(columns)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"photos that are sent together must have labels and splits of one kind: {reason}") from None
    batches, begin, size = [], 0, 0
    for place, photo in enumerate(photos):
        if place > begin and size + len(photo.data) > _BATCH:
            batches.append(table.slice(begin, place - begin))
            begin, size = place, 0
        size += len(photo.data)
    return [*batches, table.slice(begin)]
