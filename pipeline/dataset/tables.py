"""Tables as sources: CSV and Parquet, with a column of paths or of bytes, so also a Hugging Face Parquet data set."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import SourceError, UsageError
from .csv_columns import column_names, read_csv
from .declared_classes import class_names
from .items import OTHER_EXTENSIONS, Walk
from .memory_table import MemorySource, Table, rows_in_memory
from .sources import FolderSource, Item, ListableSource, Stamp, TableRow, stamp_of, unique
from .table_rows import image_column, keys_in, names_of_rows, read_path, with_keys

DataSource = str | os.PathLike[str] | ListableSource | Table
"""A folder of images, a table in a file or in memory, or an object that lists its items and reads them."""


def open_source(source: DataSource, image: str | None = None, key: str | None = None) -> ListableSource:
    """The source at a path: a folder of images, a `.csv` or `.parquet` file, or a folder of `.parquet` files.

    `image` names the column with paths (relative to the table) or bytes, `key` that with the keys. A table in memory
    (pandas, polars, Arrow) is a source too, and one of the caller's own is passed on. Raises `SourceError` where there
    is nothing of the kind, and `UsageError` for an object that is no source.
    """
    if not isinstance(source, str | os.PathLike):
        rows = rows_in_memory(source)
        if rows is not None:
            return MemorySource(rows, image, key)
        if isinstance(source, ListableSource):
            return source
        raise UsageError(
            f"source must be a folder, a table, or an object with items(), read() and where(), but got {source!r:.80}"
        )
    path = Path(source)
    if not path.exists():
        raise SourceError(f"source must be a folder of images or a table, but {path} does not exist")
    if path.is_dir():
        walk = Walk(path, frozenset([".parquet"]))
        tables = sorted(map(str, walk.files()))
        if not tables or (image is None and FolderSource(str(path)).peek()):
            return FolderSource(str(path))
        _refuse_lost(path, walk.listing.set_aside)
        return TableSource(str(path), tuple(tables), image, key)
    if path.suffix.lower() not in (".csv", ".parquet") or not path.is_file():
        raise SourceError(f"source must be a folder, a .csv or a .parquet file, but got {path}")
    return TableSource(str(path.parent), (str(path),), image, key)


def _refuse_lost(folder: Path, set_aside: Mapping[str, str]) -> None:
    """Raise `SourceError` where a table, or what may be one, cannot be read: all its rows would be missing."""
    for key, reason in sorted(set_aside.items()):
        if Path(key).suffix.lower() not in OTHER_EXTENSIONS:
            raise SourceError(f"source {folder} must hold tables that can be read, but {key} {reason}: remove it")


@dataclass(frozen=True)
class TableSource:
    """The rows of tables.

    The key is the column `key`; without it, the path of the image, and for its copies that with a number; without
    that, the table's name and the row number. Whole numbers that a Hugging Face data set declares to be classes are
    read as the names of these classes.
    """

    root: str
    tables: tuple[str, ...]
    image: str | None = None
    key: str | None = None

    def items(self) -> list[Item]:
        """The rows of all tables."""
        items = [item for number in range(len(self.tables)) for item in self._items(number)]
        if not items:
            raise SourceError(f"source {self.tables[0]} must hold rows, but has none")
        return unique(items if self.key is not None else with_keys(items))

    def read(self, place: Any) -> bytes:
        """The bytes of a file, or those in a row: `place` is a path, or table, row group and row."""
        if isinstance(place, str):
            return read_path(place)
        table, group, row = place
        try:
            path = self.tables[table]
            value = _row_group(path, stamp_of(path), self._column(table), group)[row].as_py()
        except (pa.ArrowException, SourceError, ValueError) as error:
            raise OSError(errno.EIO, f"its table cannot be read: {str(error).splitlines()[0]}") from error
        if isinstance(value, dict):
            value = value["bytes"] if value["bytes"] is not None else read_path(self._resolve(table, value["path"]))
        if value is None:
            raise OSError("the row holds no bytes")
        return bytes(value)

    def where(self) -> str:
        """The absolute path of the first table."""
        return os.path.abspath(self.tables[0])

    def _column(self, table: int) -> str:
        """The column with the images."""
        schema = _schema(self.tables[table])
        fits = [name for name in schema.names if _kind(schema.field(name).type)]
        return image_column(schema.names, fits, self.image, self.tables[table])

    def _items(self, number: int) -> list[Item]:
        path, image = self.tables[number], self._column(number)
        kind = _kind(_schema(path).field(image).type)
        if not kind:
            raise SourceError(
                f"image column {image!r} of {path} must hold paths or bytes, but is {_schema(path).field(image).type}"
            )
        with _readable(path):
            columns = _small_columns(path, image, self.key)
            paths = _paths(path, image, kind)
            rows = columns.to_pylist()
        names = self._names(number, columns, paths)
        places = self._places(number, kind, paths)
        stamps = [stamp_of(place if isinstance(place, str) else path) for place in places]
        if kind == "path":
            rows = [{**row, image: value} for row, value in zip(rows, paths, strict=True)]
        folder = str(Path(path).parent)
        return [
            Item(name, place, TableRow(name, row, folder, place), stamp)
            for name, place, row, stamp in zip(names, places, rows, stamps, strict=True)
        ]

    def _names(self, number: int, columns: pa.Table, paths: list[str | None]) -> list[str]:
        """The name of each row: from the column of keys, else its path, else its number."""
        if self.key is not None:
            return keys_in(columns.column_names, lambda key: columns.column(key).to_pylist(), self.key)
        return names_of_rows(paths, f"{Path(self.tables[number]).stem}/")

    def _places(self, number: int, kind: str, paths: list[str | None]) -> list[Any]:
        if kind == "path":
            return [self._resolve(number, path) for path in paths]
        metadata = pq.read_metadata(self.tables[number])
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return [(number, group, row) for group, count in enumerate(counts) for row in range(count)]

    def _resolve(self, table: int, path: str | None) -> str:
        return str(Path(self.tables[table]).parent / path) if path else ""


def _kind(column: pa.DataType) -> str | None:
    """What a column of this type can hold of images: a path, bytes, a structure with bytes, or nothing."""
    if pa.types.is_string(column) or pa.types.is_large_string(column) or pa.types.is_null(column):  # no rows
        return "path"
    if pa.types.is_binary(column) or pa.types.is_large_binary(column) or pa.types.is_fixed_size_binary(column):
        return "bytes"
    return "struct" if pa.types.is_struct(column) and "bytes" in {field.name for field in column} else None


def _schema(path: str) -> pa.Schema:
    """The columns of a table; all of a CSV are text, which may hold paths."""
    return _schema_of(path, stamp_of(path))


@lru_cache(maxsize=64)
def _schema_of(path: str, stamp: Stamp | None) -> pa.Schema:
    if _is_csv(path):
        return pa.schema([(name, pa.string()) for name in column_names(path)])
    with _readable(path):
        return pq.read_schema(path)


def _is_csv(path: str) -> bool:
    return path.lower().endswith(".csv")


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn what reading a table raises into a `SourceError` of one line."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"table {path} cannot be read: {str(error).splitlines()[0]}") from error


def _small_columns(path: str, image: str, key: str | None) -> pa.Table:
    """Every column but the images, with the names of classes in place of their numbers."""
    if _is_csv(path):
        return read_csv(path, [image, key]).drop_columns([image])
    schema = _schema(path)
    table = pq.read_table(path, columns=[name for name in schema.names if name != image], partitioning=None)
    for name, names in class_names(schema, path).items():
        if name in table.column_names:
            column = pa.array([names.name_of(value, row) for row, value in enumerate(table.column(name).to_pylist())])
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _paths(path: str, image: str, kind: str) -> list[Any]:
    """The paths in the column of images, None where there are none."""
    if _is_csv(path):
        return list(read_csv(path, [image]).column(image).to_pylist())
    if kind == "path":
        return list(pq.read_table(path, columns=[image], partitioning=None).column(image).to_pylist())
    count = pq.read_metadata(path).num_rows
    if kind == "bytes" or "path" not in {field.name for field in _schema(path).field(image).type}:
        return [None] * count
    with pq.ParquetFile(path) as file:  # of the structure, the paths alone
        column = file.read(columns=[f"{image}.path"]).column(image)
    return [value and value["path"] for value in column.to_pylist()]


@lru_cache(maxsize=2)
def _row_group(path: str, stamp: Stamp | None, image: str, group: int) -> pa.ChunkedArray:
    """The images of one row group; rows are mostly read one after the other."""
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[image]).column(image)
