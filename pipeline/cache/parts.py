"""Part files: rows written to one, and found in it again byte by byte."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ...errors import CacheError
from . import format2
from .checksums import checksum_fault
from .frames import frame_digest
from .pages import value_offsets
from .recipe import canonical
from .regular_files import open_regular
from .schema import FOOTER, pictures_of

_GROUP_BYTES = 32 << 20  # of pixels in a row group: what a writer or a reader holds in memory at once


@dataclass(frozen=True)
class Rejection:
    """A file that became no row, and the reason.

    `targets` is the digest of a mask, points and boxes that did not fit; None where the picture itself was refused.
    """

    key: str
    reason: str
    bytes: int | None = None
    sha256: str | None = None
    targets: str | None = None


@dataclass
class PartWriter:
    """Writes rows into an open file, a row group at a time; leaving its context drops rows that were not finished.

    `schema` is that of `part_schema`; `add` takes a row's small columns, and by column the bytes of its pixels
    and masks.
    """

    file: BinaryIO
    schema: pa.Schema
    _rows: list[Mapping[str, object]] = field(default_factory=list)
    _data: list[Mapping[str, bytes | memoryview]] = field(default_factory=list)
    _pending_bytes: int = 0

    def __post_init__(self) -> None:
        pictures = pictures_of(self.schema)
        self._small = [name for name in self.schema.names if name not in pictures]
        self._writer = pq.ParquetWriter(
            self.file,
            self.schema,
            compression="NONE",
            use_dictionary=["split"] if "split" in self.schema.names else False,
            data_page_size=1 << 30,
            write_statistics=self._small,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # closing writes a footer, for which there may be no room
            self._writer.close()

    def add(self, row: Mapping[str, object], data: Mapping[str, bytes | memoryview]) -> None:
        """Add a row; entries of `row` that are no column are left out."""
        row = {name: row[name] for name in self._small}
        self._rows.append(row)
        self._data.append(data)
        self._pending_bytes += sum(map(len, data.values()))
        if self._pending_bytes >= _GROUP_BYTES:
            self._flush()

    def finish(self, footer: Mapping[str, object]) -> None:
        """Write the rows that are left, and `footer` as JSON into the file's footer."""
        self._flush()
        self._writer.add_key_value_metadata({FOOTER.decode(): canonical(footer)})
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [self._column(column) for column in self.schema]
            self._writer.write_table(pa.table(columns, schema=self.schema), row_group_size=len(self._rows))
        self._rows, self._data, self._pending_bytes = [], [], 0

    def _column(self, column: pa.Field) -> pa.Array:
        if column.name in self._small:
            return pa.array([row[column.name] for row in self._rows], column.type)
        data = [row[column.name] for row in self._data]
        if column.name == "pixels":
            return _binary(data, column.type)
        paths = pa.array([row["key"] for row in self._rows], pa.string())
        return pa.StructArray.from_arrays([_binary(data, pa.binary()), paths], fields=list(column.type))


@dataclass(frozen=True)
class Part:
    """A part file that is whole: its small columns and offsets, its rejected files, what its footer says.

    `digest` is that of its frame. `damaged` are the numbers of rows whose pixels or masks are not those that were
    written, as far as they were compared.
    """

    path: Path
    rows: pa.Table
    rejected: list[Rejection]
    footer: dict[str, Any]
    digest: str
    damaged: tuple[int, ...] = ()


def read_part(path: Path, verify: bool = False) -> Part:
    """Read a part without its pixels and masks; `verify` reads these too and compares them with their checksums.

    Raises `CacheError` where the file is no part of a cache, or one whose name does not fit what is in it.
    """
    with open_regular(path) as file:
        part = read_frame(file, path)
        name = path.name.removesuffix(".parquet").rsplit("-", 1)[-1]
        if name != part.digest:
            raise CacheError(f"{path} is damaged: its name says {name}, and what is in it {part.digest}")
        return replace(part, damaged=_find_damaged_rows(file, part)) if verify else part


def read_frame(file: BinaryIO, path: Path) -> Part:
    """A part in an open file, whatever its name says; `CacheError` where it is none."""
    try:
        parquet = pq.ParquetFile(file)
        schema = parquet.schema_arrow
        footer = json.loads((parquet.metadata.metadata or {}).get(FOOTER, b"null"))
        pictures = pictures_of(schema)
        small = [name for name in schema.names if name not in pictures]
        rows = parquet.read(columns=small) if parquet.num_row_groups else _empty_table(schema, small)
        rows.validate(full=True)
        for name, prefix in pictures.items():
            lengths = rows.column(f"{prefix}length").to_numpy()
            offsets = _offsets(file, parquet, name, lengths)
            rows = rows.append_column(pa.field(f"{prefix}offset", pa.int64(), nullable=False), pa.array(offsets))
        rows = rows.replace_schema_metadata(None)
        rejected = rejections_in(footer)
        prefixes = list(pictures.values())
        digest = frame_digest(file, rows, prefixes) if footer["format"] > 2 else format2.part_digest(rows, footer)
    except (OSError, CacheError, pa.ArrowException, *_READ_ERRORS) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise CacheError(f"{path} is no whole part of a cache: {reason}") from error
    return Part(path, rows, rejected, footer, digest)


def rejections_in(footer: object) -> list[Rejection]:
    """The rejected files that a part's footer lists; what a later version says of them is left out."""
    if not isinstance(footer, dict):
        raise CacheError("it was not written by onewarp")
    names = {field.name for field in fields(Rejection)}
    rejections = [Rejection(**{name: entry[name] for name in names & entry.keys()}) for entry in footer["rejected"]]
    for name in ("pixels", "limits"):
        if not isinstance(footer[name], dict):
            raise CacheError(f"{name} must be a mapping, but is {footer[name]!r}")
    return rejections


def row_bytes(path: str | os.PathLike[str], offset: int, length: int) -> bytes:
    """The bytes of a row's pixels."""
    with open_regular(Path(path)) as file:
        return bytes_at(file, offset, length)


def bytes_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Some bytes of an open file; `CacheError` where it ends before."""
    data = os.pread(file.fileno(), length, offset)
    if len(data) != length:
        raise CacheError(f"{file.name} must hold {length} bytes at {offset}, but ends before: it was cut off")
    return data


def _find_damaged_rows(file: BinaryIO, part: Part) -> tuple[int, ...]:
    """The numbers of the rows whose pixels or masks do not fit their checksums."""
    prefixes = [name.removesuffix("checksum") for name in part.rows.column_names if name.endswith("checksum")]
    columns = [[part.rows.column(f"{prefix}{what}").to_pylist() for what in _LOCATION] for prefix in prefixes]
    return tuple(
        row
        for row in range(part.rows.num_rows)
        if any(checksum_fault(bytes_at(file, o[row], n[row]), c[row]) for o, n, c in columns)
    )


_READ_ERRORS = (ValueError, ArithmeticError, LookupError, TypeError, RecursionError, MemoryError)
"""What reading raises where a length, a name or a type in a file cannot be."""

_LOCATION = ("offset", "length", "checksum")


def _empty_table(schema: pa.Schema, names: list[str]) -> pa.Table:
    """No rows: Arrow before 20 does not read the columns of a file that has no row group."""
    return pa.schema([schema.field(name) for name in names]).empty_table()


def _offsets(file: BinaryIO, parquet: pq.ParquetFile, column: str, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    leaf = _leaf(parquet, column)
    offsets, first = [], 0
    for group in range(parquet.num_row_groups):
        count = parquet.metadata.row_group(group).num_rows
        offsets.append(value_offsets(file, group, leaf, lengths[first : first + count]))
        first += count
    return np.concatenate([np.empty(0, np.int64), *offsets])


def _leaf(parquet: pq.ParquetFile, column: str) -> int:
    """The number of a column of pixels among the leaves of the Parquet schema."""
    names = [parquet.schema.column(i).path for i in range(len(parquet.schema))]
    return names.index(column if column in names else f"{column}.bytes")


def _binary(data: Sequence[bytes | memoryview], kind: pa.DataType) -> pa.Array:
    joined = pa.py_buffer(b"".join(data))
    if pa.types.is_fixed_size_binary(kind):
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(data), [None, joined])
    offsets = np.zeros(len(data) + 1, np.int32)
    np.cumsum([len(value) for value in data], out=offsets[1:])
    return pa.BinaryArray.from_buffers(kind, len(data), [None, pa.py_buffer(offsets), joined])
