"""The index of a cache: every column of its rows but the pixels, found by name and read some rows at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...errors import CacheError
from .columns import Column, piece_of
from .digest_blocks import Blocks, Test
from .mapping import MappedFiles


class Index:
    """The columns of a cache's rows: `index["height"][rows]`.

    `tests` tell which values of a column cannot be. With `blocks`, those of the file that the table lies in, nothing is
    read here, and what is read later is held against its checksum first. Raises `CacheError` for what cannot be.
    """

    def __init__(
        self,
        table: pa.Table,
        tests: Mapping[str, Test] | None = None,
        blocks: Blocks | None = None,
        files: MappedFiles | None = None,
    ) -> None:
        self._files = files
        self._table, self._blocks, self._is_verified = table, blocks, blocks is None
        tests = tests or {}
        self._columns = {
            name: Column([piece_of(name, chunk, tests.get(name), blocks) for chunk in _chunks(table.column(name))])
            for name in table.column_names
        }

    def __len__(self) -> int:
        count: int = self._table.num_rows
        return count

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    @property
    def file(self) -> NDArray[np.uint8] | None:
        """The bytes `uint8[n]` of the file that the index is mapped from; None for one in memory."""
        return None if self._blocks is None else self._blocks.data

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        return self._table.schema

    def nulls(self, name: str) -> int:
        """How many rows have a null in a column."""
        count: int = self._table.column(name).null_count
        return count

    def row(self, number: int) -> dict[str, Any]:
        """The columns of one row as plain values."""
        rows = np.array([number], np.int64)
        return {name: to_plain(column[rows][0]) for name, column in self._columns.items()}

    def table(self) -> pa.Table:
        """The whole index as a table, compared with its checksums."""
        if not self._is_verified:
            if self._blocks is not None:
                self._blocks.verify_all()
            try:
                self._table.validate(full=True)
            except pa.ArrowException as error:
                raise CacheError(f"the index is no index of a cache: {str(error).splitlines()[0]}") from error
            self._is_verified = True
        return self._table

    def take(self, order: NDArray[np.int64]) -> "Index":
        """The rows in another order, in memory."""
        return Index(self.table().take(pa.array(order)).combine_chunks())

    def confirm(self) -> None:
        """Raise CacheError where the file was cut while it was read."""
        if self._files is not None:
            self._files.confirm()

    def damages(self) -> Iterator[str]:
        """A line for each damaged block of the index's file."""
        return iter(()) if self._blocks is None else self._blocks.damages()


def open_index(path: Path, entry: Mapping[str, Any], rows: int, schema: pa.Schema, tests: Mapping[str, Test]) -> Index:
    """The index in a file: mapped, so that opening takes the same time and memory at any length.

    `entry` is what the footer says of the file. Of the file only what tells where the columns lie is read.
    """
    files = MappedFiles([path], [entry["bytes"]])
    data = files.data[: entry["bytes"]]
    blocks = Blocks(path, data, entry["checksums"])
    blocks.verify_ends()
    try:
        with pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))) as reader:
            table = fitting(reader.read_all(), rows, schema, path)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise CacheError(f"{path} is no index of a cache: {str(error).splitlines()[0]}") from error
    return Index(table, tests, blocks, files)


def fitting(table: pa.Table, rows: int, schema: pa.Schema, path: Path) -> pa.Table:
    """The columns of a table that a cache must have; others, of a later version, are left out."""
    if table.num_rows != rows:
        raise CacheError(f"{path} has {table.num_rows} rows, and the cache says {rows}: run presize again")
    for field in schema:
        types = [column.type for column in table.schema if column.name == field.name]
        if len(types) != 1 or not _same_type(types[0], field.type):
            actual = ", ".join(map(str, types)) or "missing"
            raise CacheError(f"{path} must have a column {field.name} of {field.type}, but it is {actual}")
    return table.select(schema.names)


def _same_type(first: pa.DataType, second: pa.DataType) -> bool:
    """Whether two types are the same, whatever the elements of lists are called."""
    if pa.types.is_fixed_size_list(first) and pa.types.is_fixed_size_list(second):
        return bool(first.list_size == second.list_size) and _same_type(first.value_type, second.value_type)
    if pa.types.is_list(first) and pa.types.is_list(second):
        return _same_type(first.value_type, second.value_type)
    return bool(first.equals(second))


def _chunks(column: pa.ChunkedArray) -> list[pa.Array]:
    return list(column.chunks) or [pa.array([], column.type)]


def to_plain(value: object) -> Any:
    """A value of a column as Python's own: a number, a text, None, or lists of these."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
