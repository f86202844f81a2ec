"""How photos are sent to a cache that grows: what the server has not got yet, a few at a time, then a commit."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import pyarrow.flight as flight

from ...errors import ServiceError, UsageError
from ...transforms.category import is_missing, label_of
from ..dataset.keys import key_fault
from ..dataset.sources import read_file
from ..presizing.spool import Photo, record_of
from .tickets import VERSION

_CHUNK, _BATCH, _MOST_ROWS = 8 << 20, 2 << 20, 1024

Entry = tuple[Any, ...]
"""A key, the path or the bytes of a file, and if one likes a label and a split."""

T = TypeVar("T")


class Call(Protocol):
    """What finds a server that answers, as `Replicas.call` does."""

    def __call__(self, function: Callable[[Any, Any], T]) -> T:
        """What a function makes of a client of Arrow Flight and the options for its call; it may be called again."""


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
    """The cache of a name on a server that lets it grow; `call` finds the server."""

    cache: str
    call: Call

    def put(self, entries: Iterable[Entry]) -> PutSummary:
        """Send photos that the server has not got: (key, path or bytes), and if one likes a label and a split.

        What is acknowledged stays: after an error, or in another process, the same call goes on with the rest. A photo
        whose key is there takes the place of the one before. Photos that cannot be read, or that the server refuses,
        are in the summary with the reason. Raises `UsageError` for an entry that is no photo, `LabelError` for a
        label that is none, and `ServiceError` where no server answers, or where it refuses.
        """
        summary = PutSummary()
        for photos in _chunks(map(_photo, entries), summary):
            sent, refused = set[int](), dict[int, str]()
            self.call(partial(self._send, photos, sent, refused))
            summary.sent += len(sent - refused.keys())
            summary.there += len(photos) - len(sent)
            summary.refused |= {photos[place].key: reason for place, reason in refused.items()}
        return summary

    def commit(self, verify: bool = False, report: Callable[[int, str], object] | None = None) -> CommitSummary:
        """Make all photos that the server has got the cache, and wait until it is.

        `report` gets how many photos are done, and a line. With `verify` the server reads the rows that stay, and makes
        damaged ones anew. A commit that was begun goes on when this process ends; the same call waits for it. Raises
        `ServiceError` where no server answers, and for what the commit has failed at.
        """
        name: list[str] = []  # of the commit, once it is known: a call may end before it does
        report = report or (lambda done, says: None)
        while (summary := self.call(partial(self._commit, verify, name, report))) is None:
            pass
        return summary

    def _send(
        self, photos: Sequence[Photo], sent: set[int], refused: dict[int, str], client: Any, options: Any
    ) -> None:
        """Send those of some photos that are missing; the places of those that are sent, and of the refused ones."""
        body = self._body({"photos": [list(record_of(photo)) for photo in photos]})
        (result,) = client.do_action(flight.Action("missing", body), options)
        places: list[int] = json.loads(result.body.to_pybytes())["missing"]
        missing = [place for place in places if place not in refused]
        sent.update(missing)
        if not missing:
            return
        batches = _batches([photos[place] for place in missing])
        descriptor = flight.FlightDescriptor.for_command(self._body({}))
        writer, reader = client.do_put(descriptor, batches[0].schema, options)
        with writer:
            for batch in batches:
                writer.write_batch(batch)
            writer.done_writing()
            for _ in batches:
                answer = reader.read()
                if answer is None:
                    break  # the server ends the stream early by an error, which leaving the block raises
                entries = json.loads(answer.to_pybytes())["refused"]
                refused |= {missing[entry["row"]]: entry["reason"] for entry in entries}

    def _commit(
        self, verify: bool, name: list[str], report: Callable[[int, str], object], client: Any, options: Any
    ) -> CommitSummary | None:
        """The summary of a commit; None where it takes longer than a call may, and goes on."""
        rejected: dict[str, str] = {}
        answered = False
        body = self._body({"verify": verify, **({"commit": name[-1]} if name else {})})
        try:
            for result in client.do_action(flight.Action("commit", body), options):
                answered, message = True, json.loads(result.body.to_pybytes())
                name += [message["commit"]] if "commit" in message else []
                rejected |= dict(message.get("rejected", ()))
                if "progress" in message:
                    report(message["progress"]["done"], message["progress"]["says"])
                if "summary" in message:
                    facts = {**message["summary"], "rejected": rejected}
                    return CommitSummary(**{entry.name: facts[entry.name] for entry in fields(CommitSummary)})
        except flight.FlightTimedOutError:
            if not answered:
                raise
            return None
        raise ServiceError(f"the server did not say how the commit of cache {self.cache} ended: commit again")

    def _body(self, values: dict[str, Any]) -> bytes:
        return json.dumps({"version": VERSION, "cache": self.cache, **values}, separators=(",", ":")).encode()


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
        more = len(photo.data) + len(repr(photo.label))
        if chunk and (size + more > _CHUNK or len(chunk) == _MOST_ROWS):
            yield chunk
            chunk, size = [], 0
        chunk.append(photo)
        size += more
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
