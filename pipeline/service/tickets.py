"""What a client asks for: a ticket, as JSON with a version, which says all that an answer depends on.

| field | what it says |
|---|---|
| `version` | 1 |
| `cache`, `fingerprint` | the name of a cache, and the fingerprint of its content |
| `send` | `stored` (the rows' bytes as they are kept), `pixels`, `augmented`, or `index` (the cache's index file) |
| `rows` | row numbers, as a list or as `{"begin": 0, "end": 100}`; not with `index` |
| `columns` | small columns that are sent beside; `key` alone where the field is missing |
| `masks` | columns of masks that are sent beside: as they are kept or, with `augmented`, under the plan of the image |
| `binary` | `view` (binary_view, sent without a copy) or `plain` (binary, for clients that know no views) |
| `compression` | `none`, `lz4` or `zstd` |
| `batch_bytes` | about how many bytes a record batch has, from 2**16 to 2**23 |
| `augment` | with `augmented`: `recipe` (JSON of fused transforms), `seed`, `epoch`, `split` (`train` or `valid`) |
| | and `hashes`, a number for each row, from which its draws follow; without them those of the rows' keys |

A ticket gives no right, and may be kept: any replica that has the cache of this fingerprint answers it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .limits import Limits

VERSION = 1

REUSE = "arrow-flight-reuse-connection://?"
"""The location, in what a server says of a cache, that means: ask whom you have asked."""

Send = Literal["stored", "pixels", "augmented", "index"]
Binary = Literal["view", "plain"]
Compression = Literal["none", "lz4", "zstd"]
RecipeSplit = Literal["train", "valid"]

LEAST_BATCH, MOST_BATCH = 1 << 16, 1 << 23
"""Bytes of a record batch."""

MOST_RECIPE = 1 << 16
"""Letters of the JSON of a recipe."""

_MOST_NAMES, _MOST_LETTERS = 64, 4096
_MOST = 1 << 62


@dataclass(frozen=True)
class Augment:
    """A recipe and what its draws follow from: `recipe` is JSON, and `hashes` are uint64, one for each row."""

    recipe: str
    seed: int = 0
    epoch: int = 0
    split: RecipeSplit = "train"
    hashes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Ticket:
    """A request for rows of a cache; `rows` are numbers, or a range with step 1."""

    cache: str
    fingerprint: str
    send: Send = "stored"
    rows: range | tuple[int, ...] = ()
    columns: tuple[str, ...] = ("key",)
    masks: tuple[str, ...] = ()
    binary: Binary = "view"
    compression: Compression = "none"
    batch_bytes: int = 1 << 22
    augment: Augment | None = None

    def to_json(self) -> bytes:
        """The ticket as it is sent."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        rows = self.rows
        values["rows"] = {"begin": rows.start, "end": rows.stop} if isinstance(rows, range) else list(rows)
        if self.send == "index":
            del values["rows"]
        if self.augment is not None and self.augment.hashes is None:
            del values["augment"]["hashes"]
        return json.dumps({"version": VERSION, **values}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes, limits: Limits | None = None) -> "Ticket":
        """The ticket in the bytes of a request; raises `UsageError` for what is no ticket, or is beyond the limits."""
        limits = limits or Limits()
        fields = Fields.parse(data, "the ticket", limits.request_bytes)
        fields.version(VERSION)
        send: Send = fields.choice("send", get_args(Send), "stored")
        ticket = cls(
            cache=fields.text("cache"),
            fingerprint=fields.text("fingerprint"),
            send=send,
            columns=fields.names("columns", ("key",)),
            masks=fields.names("masks", ()),
            binary=fields.choice("binary", get_args(Binary), "view"),
            compression=fields.choice("compression", get_args(Compression), "none"),
            batch_bytes=fields.integer("batch_bytes", LEAST_BATCH, MOST_BATCH, 1 << 22),
        )
        if send != "index":
            ticket = replace(ticket, rows=_rows(fields, limits))
        if send == "augmented":
            ticket = replace(ticket, augment=_augment(fields.mapping("augment"), ticket.rows))
        fields.end()
        return ticket

    def check_rows(self, count: int) -> None:
        """Raise `UsageError` where a cache of `count` rows does not have them all."""
        rows = self.rows
        most = (rows.stop - 1 if rows else -1) if isinstance(rows, range) else max(rows, default=-1)
        if most >= count:
            raise UsageError(f"rows must be below {count}, but got {most}")

    def numbers(self, begin: int, end: int) -> NDArray[np.int64]:
        """The row numbers `int64[n]` from place `begin` up to `end`."""
        part = self.rows[begin:end]
        return np.arange(part.start, part.stop) if isinstance(part, range) else np.array(part, np.int64)


def _rows(fields: "Fields", limits: Limits) -> range | tuple[int, ...]:
    value = fields.take("rows")
    if isinstance(value, dict):
        bounds = Fields(value, "rows")
        begin = bounds.integer("begin", 0, _MOST)
        end = bounds.integer("end", begin, _MOST)
        bounds.end()
        return range(begin, end)
    return _integers("rows", value, limits.rows, _MOST)


def _augment(fields: "Fields", rows: Sequence[int]) -> Augment:
    hashes = fields.take("hashes", None)
    augment = Augment(
        recipe=fields.text("recipe", MOST_RECIPE),
        seed=fields.integer("seed", -_MOST, _MOST, 0),
        epoch=fields.integer("epoch", 0, _MOST, 0),
        split=fields.choice("split", get_args(RecipeSplit), "train"),
        hashes=None if hashes is None else _integers("augment hashes", hashes, len(rows), (1 << 64) - 1),
    )
    if augment.hashes is not None and len(augment.hashes) != len(rows):
        raise UsageError(
            f"augment hashes must be one for each of {len(rows)} rows, but there are {len(augment.hashes)}"
        )
    fields.end()
    return augment


def _integers(name: str, value: object, most: int, largest: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(entry) is int and 0 <= entry <= largest for entry in value):
        raise UsageError(f"{name} must be whole numbers from 0 to {largest}, but got {_short(value)}")
    if len(value) > most:
        raise UsageError(f"{name} must be at most {most} numbers, but there are {len(value)}")
    return tuple(value)


class Fields:
    """The fields of a JSON object, each taken once; what is wrong, missing or left over is a `UsageError`."""

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        self._values, self._what = dict(values), what

    @classmethod
    def parse(cls, data: bytes, what: str, most_bytes: int) -> "Fields":
        """The fields in the bytes of a request."""
        if len(data) > most_bytes:
            raise UsageError(f"{what} must be at most {most_bytes} bytes, but has {len(data)}")
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            raise UsageError(f"{what} must be JSON, but is not") from None
        if not isinstance(values, dict):
            raise UsageError(f"{what} must be a JSON object, but is {_short(values)}")
        return cls(values, what)

    def version(self, expected: int) -> None:
        """Refuse another version than the expected one."""
        version = self.take("version")
        if type(version) is not int or version != expected:
            newer = type(version) is int and version > expected
            cure = "the client is newer than the server" if newer else "the server speaks another version"
            raise UsageError(f"{self._what} must be of version {expected}, but is of {_short(version)}: {cure}")

    def take(self, name: str, default: object = ...) -> Any:
        """A field of any type."""
        if name not in self._values:
            if default is ...:
                raise UsageError(f"{self._what} must have the field {name}")
            return default
        return self._values.pop(name)

    def text(self, name: str, most: int = _MOST_LETTERS, default: str | None = None) -> str:
        """A field that is a text."""
        value = self.take(name, ... if default is None else default)
        if not isinstance(value, str) or len(value) > most:
            raise UsageError(f"{self._what}: {name} must be a text of at most {most} letters, but is {_short(value)}")
        return value

    def integer(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A field that is a whole number from `least` to `most`."""
        value = self.take(name, ... if default is None else default)
        if type(value) is not int or not least <= value <= most:
            raise UsageError(
                f"{self._what}: {name} must be a whole number from {least} to {most}, but is {_short(value)}"
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A field that is true or false."""
        value = self.take(name, default)
        if type(value) is not bool:
            raise UsageError(f"{self._what}: {name} must be true or false, but is {_short(value)}")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str) -> Any:
        """A field that is one of some texts."""
        value = self.take(name, default)
        if not isinstance(value, str) or value not in choices:
            raise UsageError(f"{self._what}: {name} must be one of {', '.join(choices)}, but is {_short(value)}")
        return value

    def names(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """A field that is a list of different names."""
        value = self.take(name, list(default))
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise UsageError(f"{self._what}: {name} must be a list of names, but is {_short(value)}")
        if len({*value}) != len(value) or len(value) > _MOST_NAMES:
            raise UsageError(f"{self._what}: {name} must be at most {_MOST_NAMES} names, no two alike")
        return tuple(value)

    def mapping(self, name: str) -> "Fields":
        """A field that is a JSON object."""
        value = self.take(name)
        if not isinstance(value, dict):
            raise UsageError(f"{self._what}: {name} must be a JSON object, but is {_short(value)}")
        return Fields(value, name)

    def end(self) -> None:
        """Refuse fields that nobody has taken: a field that is not understood may change what is meant."""
        if self._values:
            raise UsageError(f"{self._what} must not have the field {_short(next(iter(self._values)))}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
