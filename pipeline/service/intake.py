"""`do_put` and its actions: photos come in for a cache that the server lets grow, and a commit makes rows of them.

The contract. The descriptor's command of `do_put` is JSON: `version` (1) and `cache`, the name of a cache. The record
batches that come in have a row for each photo, with the columns

| column | type |
|---|---|
| `key` | string: what names the photo for ever, a relative path in Unicode's normal form C |
| `image` | binary, large_binary or binary_view: the bytes of its file, not a path |
| `label` | string, whole number, or a list of these; may be missing, as the server's settings say |
| `split` | string or boolean; may be missing, as the server's settings say |

A batch has at most 4,096 rows, and 8 MB more than one image may have. Each is answered by metadata, JSON: `kept`, how
many photos of the stream are on the server's disk now, the `last` of their keys, and `refused`, of each photo of this
batch that is not kept its `row` in the stream, its `key` and the `reason`. What was acknowledged stays, whatever
becomes of the stream, and is in no cache before a commit.

| action | body, beside `version` and `cache` | results, each JSON |
|---|---|---|
| `missing` | `photos`: lists of key, SHA-256, bytes, label and split | `missing`: the places of those yet to be sent |
| `commit` | `verify`: whether rows that stay are read; `commit`: a name | `progress`, `rejected`, last `summary` |

A commit that was begun goes on when its client leaves. The first result of `commit` has its name, `commit`: the action
with that name listens to it again. Without one it waits for the commit that runs, and then commits what is new.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.types as types

from ...errors import UsageError
from ..presizing.growth import GrowingCache, Refusal, SpoolLimits
from ..presizing.spool import Photo, Record
from .admission import Room
from .byte_arrays import is_binary
from .commits import Commits
from .limits import Limits
from .monitoring import Tally
from .record_stream import RecordStream
from .tickets import MOST_BATCH, VERSION, Fields
from .time_limit import time_limit

_MOST_LETTERS = 200  # of a key in an answer
_MOST_ROWS = 1 << 12  # of a record batch
_OBJECTS = 1 << 10  # bytes that a photo takes beside its own, with all that belongs to it


class Intake:
    """The caches of a server that may grow; `on_commit` is called with a cache's name when it has new rows to read."""

    def __init__(
        self, caches: Sequence[GrowingCache], limits: Limits, on_commit: Callable[[str], object] = lambda name: None
    ) -> None:
        self._caches = {cache.name: cache for cache in caches}
        self._limits = limits
        self._commits = Commits(on_commit)

    @classmethod
    def open(
        cls,
        folders: Mapping[str, Path],
        names: Sequence[str],
        settings: Mapping[str, Any],
        limits: Limits,
        on_commit: Callable[[str], object],
    ) -> "Intake":
        """The intake of those caches in `folders` that have these names; for the rest see `GrowingCache`."""
        room = SpoolLimits(photo_bytes=limits.image_bytes, spool_bytes=limits.spool_bytes)
        return cls([GrowingCache(name, folders[name], settings, room) for name in names], limits, on_commit)

    def put(
        self,
        context: Any,
        command: bytes,
        reader: Any,
        writer: Any,
        tally: Tally | None = None,
        room: Room | None = None,
    ) -> None:
        """Keep the photos of one `do_put`, whose descriptor has this command.

        Photos are counted by `tally`, and what is held for the client is taken from its `room`.
        Raises `UsageError` for a request or a stream that is none, `ResourceError` where there is no room, and
        `TimeoutError` where the client has stopped.
        """
        fields, cache = self._read(command, "the command")
        fields.end()
        with time_limit(context.peer(), self._limits.seconds, "did not end its stream"):
            kept = row = 0
            last = None
            for photos in (stream := _Stream(reader, writer, context.peer(), self._limits)):
                nbytes = sum(len(photo.data) for photo in photos)
                with nullcontext() if room is None else room.hold(nbytes + _OBJECTS * len(photos)):
                    refused = cache.add(photos)
                places = {refusal.place for refusal in refused}
                kept += len(photos) - len(refused)
                last = next((photo.key for i, photo in reversed([*enumerate(photos)]) if i not in places), last)
                stream.acknowledge(kept, last, [_describe(refusal, row) for refusal in refused])
                row += len(photos)
                if tally is not None:
                    tally.add(rows=len(photos), nbytes=nbytes)

    @property
    def actions(self) -> dict[str, tuple[str, Callable[[bytes], Iterator[bytes]]]]:
        """By name: what an action does, and a function from its body to its results."""
        return {
            "missing": (
                'Which photos have yet to be put: {"version": 1, "cache": NAME, "photos": [...]}.',
                self.missing,
            ),
            "commit": ('Make rows of the photos that were put: {"version": 1, "cache": NAME}.', self.commit),
        }

    def missing(self, body: bytes) -> Iterator[bytes]:
        """Which photos have yet to be sent."""
        fields, cache = self._read(body, "the action")
        photos = fields.take("photos")
        fields.end()
        if not isinstance(photos, list) or len(photos) > self._limits.rows:
            raise UsageError(f"photos must be a list of at most {self._limits.rows} photos")
        yield _json({"missing": cache.missing([_record(photo) for photo in photos])})

    def commit(self, body: bytes) -> Iterator[bytes]:
        """Make all photos the cache; what is said on the way and at the end."""
        fields, cache = self._read(body, "the action")
        verify, name = fields.flag("verify", False), fields.text("commit", default="")
        fields.end()
        yield from map(_json, self._commits.begin(cache, verify, name))

    def close(self, seconds: float) -> bool:
        """Wait for commits that go on, as long as that; whether all have ended.

        One that ends with the process is gone on with by the next commit.
        """
        return self._commits.close(seconds)

    def _read(self, data: bytes, what: str) -> tuple[Fields, GrowingCache]:
        """The fields of a request that are left, and the cache that it names."""
        fields = Fields.parse(data, what, self._limits.request_bytes)
        fields.version(VERSION)
        name = fields.text("cache")
        if name not in self._caches:
            names = ", ".join(self._caches) or "none"
            raise UsageError(f"the cache must be one that may grow ({names}), but is {name[:_MOST_LETTERS]!r}")
        return fields, self._caches[name]


class _Stream:
    """The photos of a stream, batch by batch, each checked to be what it should be."""

    def __init__(self, reader: Any, writer: Any, peer: str, limits: Limits) -> None:
        self._records = RecordStream(reader, peer, limits.stall_seconds)
        self._writer, self._peer = writer, peer
        self._seconds = limits.stall_seconds
        self._most = limits.image_bytes + MOST_BATCH

    def __iter__(self) -> Iterator[list[Photo]]:
        _check(self._records.schema())
        while (batch := self._records.next()) is not None:
            self._check_size(batch)
            keys, images = batch.column("key"), batch.column("image")
            if keys.null_count or images.null_count:
                raise UsageError("each photo must have a key and an image, but one of them is null")
            data = [memoryview(image.as_buffer()) for image in images]
            labels, splits = (
                batch.column(name).to_pylist() if name in batch.schema.names else [None] * len(batch)
                for name in ("label", "split")
            )
            yield list(map(Photo, keys.to_pylist(), data, labels, splits))

    def acknowledge(self, kept: int, last: str | None, refused: list[dict[str, Any]]) -> None:
        """Say what is on the disk now."""
        answer = _json({"version": VERSION, "kept": kept, "last": last, "refused": refused})
        try:
            with time_limit(self._peer, self._seconds, "took no acknowledgement"):
                self._writer.write(pa.py_buffer(answer))
        except TimeoutError:
            raise
        except (pa.ArrowException, OSError):
            raise flight.FlightCancelledError("the client has left its stream") from None

    def _check_size(self, batch: pa.RecordBatch) -> None:
        if (batch.nbytes > self._most and len(batch) > 1) or len(batch) > _MOST_ROWS:
            raise UsageError(
                f"a record batch must have at most {self._most:,} bytes and {_MOST_ROWS:,} rows, but has "
                f"{batch.nbytes:,} bytes and {len(batch):,} rows"
            )


def _check(schema: pa.Schema) -> None:
    """Refuse columns that are none of a photo."""
    names = schema.names
    if not {"key", "image"} <= {*names} <= {"key", "image", "label", "split"} or len({*names}) != len(names):
        came = ", ".join(names)[:_MOST_LETTERS] or "none"
        raise UsageError(f"the columns must be key and image, and label and split if one likes, but got {came}")
    kinds = {name: schema.field(name).type for name in names}
    tests: dict[str, tuple[Callable[[pa.DataType], bool], str]] = {
        "key": (_is_text, "text"),
        "image": (is_binary, "binary: the bytes of a file"),
        "label": (_is_label, "text, whole numbers or lists of these"),
        "split": (lambda kind: _is_text(kind) or types.is_boolean(kind) or types.is_null(kind), "text or boolean"),
    }
    for name, kind in kinds.items():
        test, expected = tests[name]
        if not test(kind):
            raise UsageError(f"{name} must be {expected}, but is {str(kind)[:60]}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_label(kind: pa.DataType) -> bool:
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    return _is_text(kind) or bool(types.is_integer(kind) or types.is_null(kind))


def _record(photo: object) -> Record:
    """What a client says of a photo; no key is a path here, and what is not there is missing."""
    match photo:
        case [str(key), str(digest), int(size), label, split] if len(digest) == 64 and digest.isalnum():
            return Record(key, digest, size, label, split)  # type: ignore[arg-type]  # they are compared, and not kept
    raise UsageError("each of photos must be a list of key, SHA-256, bytes, label and split, but one is not")


def _describe(refusal: Refusal, first: int) -> dict[str, Any]:
    return {"row": first + refusal.place, "key": refusal.key[:_MOST_LETTERS], "reason": refusal.reason}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
