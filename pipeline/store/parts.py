"""Part files: rows written to one, and found in it again byte by byte."""

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CacheError
from .pages import value_offsets
from .recipe import canonical
from .schema import FOOTER, pictures_of

_GROUP_BYTES = 32 << 20  # of pixels in a row group: what a writer or a reader holds in memory at once


@dataclass(frozen=True)
class Rejected:
    """A file that became no row, and why.

    `targets` is the digest of a mask, points and boxes that did not fit; None where the picture itself was refused.
    """

    key: str
    reason: str
    bytes: int | None = None
    sha256: str | None = None
    targets: str | None = None


@dataclass
class PartWriter:
    """Writes rows into an open file, a row group at a time; a context that gives up what was not finished.

    `schema` is that of `part_schema`; `add` takes a row's small columns, and by column the bytes of its pixels
    and masks.
    """

    file: BinaryIO
    schema: pa.Schema
    _rows: list[Mapping[str, Any]] = field(default_factory=list)
    _data: list[Mapping[str, bytes | memoryview]] = field(default_factory=list)
    _held: int = 0
    _digest: Any = field(default_factory=lambda: blake2b(digest_size=8))

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

    def add(self, row: Mapping[str, Any], data: Mapping[str, bytes | memoryview]) -> None:
        """One row; what is no column is left out."""
        row = {name: row[name] for name in self._small}
        self._digest.update(canonical(row).encode())
        self._rows.append(row)
        self._data.append(data)
        self._held += sum(map(len, data.values()))
        if self._held >= _GROUP_BYTES:
            self._flush()

    def finish(self, said: Mapping[str, Any]) -> str:
        """Write the footer with `said` for JSON; the digest of all that was written, 16 hexadecimal digits."""
        self._flush()
        text = canonical(said)
        self._digest.update(text.encode())
        self._writer.add_key_value_metadata({FOOTER.decode(): text})
        self._writer.close()
        digest: str = self._digest.hexdigest()
        return digest

    def _flush(self) -> None:
        if self._rows:
            columns = [self._column(column) for column in self.schema]
            self._writer.write_table(pa.table(columns, schema=self.schema), row_group_size=len(self._rows))
        self._rows, self._data, self._held = [], [], 0

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
    """A part file that is whole: its small columns and offsets, its rejected files, what its footer says."""

    path: Path
    rows: pa.Table
    rejected: list[Rejected]
    said: dict[str, Any]


def read_part(path: Path) -> Part:
    """Everything but the pixels and masks; `CacheError` where the file is not a part of a cache, or not whole."""
    try:
        with open(path, "rb") as file:
            parquet = pq.ParquetFile(file)
            schema = parquet.schema_arrow
            said = json.loads((parquet.metadata.metadata or {}).get(FOOTER, b"null"))
            if said is None:
                raise CacheError(f"{path} must be a part of a cache, but was not written by onewarp")
            pictures = pictures_of(schema)
            rows = parquet.read(columns=[name for name in schema.names if name not in pictures])
            for name, prefix in pictures.items():
                offsets = _offsets(file, parquet, name, rows.column(f"{prefix}length").to_numpy())
                column = pa.field(f"{prefix}offset", pa.int64(), nullable=False)
                rows = rows.append_column(column, pa.array(offsets))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise CacheError(f"{path} is no whole part of a cache: {str(error).splitlines()[0]}") from error
    return Part(path, rows.replace_schema_metadata(None), [Rejected(**entry) for entry in said["rejected"]], said)


def checksum(data: bytes | memoryview) -> int:
    """The CRC-32 (zlib's) of a row's bytes."""
    return zlib.crc32(data)


def row_bytes(path: str | os.PathLike[str], offset: int, length: int) -> bytes:
    """The bytes of a row's pixels."""
    with open(path, "rb") as file:
        data = os.pread(file.fileno(), length, offset)
    if len(data) != length:
        raise CacheError(f"{os.fspath(path)} must hold {length} bytes at {offset}, but ends before: it was cut off")
    return data


def _offsets(
    file: BinaryIO, parquet: pq.ParquetFile, column: str, lengths: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    leaf = _leaf(parquet, column)
    found, first = [], 0
    for group in range(parquet.num_row_groups):
        count = parquet.metadata.row_group(group).num_rows
        found.append(value_offsets(file, group, leaf, lengths[first : first + count]))
        first += count
    return np.concatenate([np.empty(0, np.int64), *found])


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
