"""Tables as sources: CSV and Parquet, with a column of paths or of bytes, so also a Hugging Face Parquet data set."""

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ...errors import SourceError
from .sources import FolderSource, Item, Listed, TableRow, stamp_of, unique

_USUAL = ("image", "path", "file", "file_name", "filename", "image_path", "fname", "img", "bytes")


def open_source(source: str | os.PathLike[str] | Listed, image: str | None = None, key: str | None = None) -> Listed:
    """The source at a path: a folder of images, a `.csv` or `.parquet` file, or a folder of `.parquet` files.

    `image` names the column with paths (relative to the table) or bytes, `key` that with the keys. A source of the
    caller's own is passed on. Raises `SourceError` where there is nothing of the kind.
    """
    if not isinstance(source, (str, os.PathLike)):
        return source
    path = Path(source)
    if not path.exists():
        raise SourceError(f"source must be a folder of images or a table, but {path} does not exist")
    if path.is_dir():
        tables = sorted(path.rglob("*.parquet"))
        if not tables or (image is None and FolderSource(str(path)).peek()):
            return FolderSource(str(path))
        return TableSource(str(path), tuple(str(table) for table in tables), image, key)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SourceError(f"source must be a folder, a .csv or a .parquet file, but got {path}")
    return TableSource(str(path.parent), (str(path),), image, key)


@dataclass(frozen=True)
class TableSource:
    """The rows of tables.

    The key is the column `key`; without it, the path of the image; without that, the table's name and the row number.
    Whole numbers that a Hugging Face data set declares to be classes are read as the names of these classes.
    """

    root: str
    tables: tuple[str, ...]
    image: str | None = None
    key: str | None = None

    def items(self) -> list[Item]:
        """The rows of all tables."""
        found = [item for number in range(len(self.tables)) for item in self._items(number)]
        if not found:
            raise SourceError(f"source {self.tables[0]} must hold rows, but has none")
        return unique(found)

    def read(self, place: Any) -> bytes:
        """The bytes of a file, or those in a row: `place` is a path, or table, row group and row."""
        if isinstance(place, str):
            with open(place, "rb") as file:
                return file.read()
        table, group, row = place
        value = _row_group(self.tables[table], self._column(table), group)[row].as_py()
        if isinstance(value, dict):
            value = value["bytes"] if value["bytes"] is not None else self.read(self._beside(table, value["path"]))
        if value is None:
            raise OSError("the row holds no bytes")
        return bytes(value)

    def where(self) -> str:
        """The absolute path of the first table."""
        return os.path.abspath(self.tables[0])

    def _column(self, table: int) -> str:
        """The column with the images."""
        schema = _schema(self.tables[table])
        if self.image is not None:
            if self.image not in schema.names:
                raise SourceError(f"image column must be one of {', '.join(schema.names)}, but got {self.image!r}")
            return self.image
        usual = [name for name in _USUAL if name in schema.names and _kind(schema.field(name).type)]
        if not usual:
            raise SourceError(
                f"{self.tables[table]} must have a column of paths or bytes, but none of {', '.join(schema.names)} has "
                "a usual name: name it by image="
            )
        return usual[0]

    def _items(self, number: int) -> list[Item]:
        path, image = self.tables[number], self._column(number)
        kind = "path" if path.lower().endswith(".csv") else _kind(_schema(path).field(image).type)
        if not kind:
            raise SourceError(
                f"image column {image!r} of {path} must hold paths or bytes, but is {_schema(path).field(image).type}"
            )
        columns = _columns_beside(path, image, self.key)
        paths = _paths(path, image, kind)
        keys = self._keys(number, columns, paths)
        places = self._places(number, kind, paths)
        stamps = [stamp_of(place if isinstance(place, str) else path) for place in places]
        rows = columns.to_pylist()
        if kind == "path":
            rows = [{**row, image: value} for row, value in zip(rows, paths, strict=True)]
        return [
            Item(k, place, TableRow(k, row, str(Path(path).parent)), stamp)
            for k, place, row, stamp in zip(keys, places, rows, stamps, strict=True)
        ]

    def _keys(self, number: int, columns: pa.Table, paths: list[str | None]) -> list[str]:
        if self.key is not None:
            if self.key not in columns.column_names:
                raise SourceError(f"key column must be one of {', '.join(columns.column_names)}, but got {self.key!r}")
            return [str(value) for value in columns.column(self.key).to_pylist()]
        if all(paths) and len(set(paths)) == len(paths):
            return [Path(str(path)).as_posix() for path in paths]
        stem = Path(self.tables[number]).stem
        return [f"{stem}/{row:09d}" for row in range(columns.num_rows)]

    def _places(self, number: int, kind: str, paths: list[str | None]) -> list[Any]:
        if kind == "path":
            return [self._beside(number, path) for path in paths]
        metadata = pq.read_metadata(self.tables[number])
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return [(number, group, row) for group, count in enumerate(counts) for row in range(count)]

    def _beside(self, table: int, path: str | None) -> str:
        return str(Path(self.tables[table]).parent / path) if path else ""


def _kind(column: pa.DataType) -> str | None:
    """What a column of this type can hold of images: a path, bytes, a structure with bytes, or nothing."""
    if pa.types.is_string(column) or pa.types.is_large_string(column) or pa.types.is_null(column):  # no rows
        return "path"
    if pa.types.is_binary(column) or pa.types.is_large_binary(column) or pa.types.is_fixed_size_binary(column):
        return "bytes"
    return "struct" if pa.types.is_struct(column) and "bytes" in {field.name for field in column} else None


@lru_cache(maxsize=64)
def _schema(path: str) -> pa.Schema:
    try:
        return pc.open_csv(path).schema if path.lower().endswith(".csv") else pq.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"table {path} cannot be read: {str(error).splitlines()[0]}") from error


def _csv(path: str, *text: str | None) -> pa.Table:
    """A CSV file, in which the columns `text` are no numbers, whatever they look like."""
    return pc.read_csv(path, convert_options=pc.ConvertOptions(column_types={n: pa.string() for n in text if n}))


def _columns_beside(path: str, image: str, *text: str | None) -> pa.Table:
    """Every column but the images, with the names of classes in place of their numbers."""
    if path.lower().endswith(".csv"):
        return _csv(path, *text).drop_columns([image])
    schema = _schema(path)
    table = pq.read_table(path, columns=[name for name in schema.names if name != image], partitioning=None)
    for name, names in _classes(schema).items():
        if name in table.column_names:
            values = [None if value is None else names[value] for value in table.column(name).to_pylist()]
            table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """The columns that a Hugging Face data set declares to be classes, and their names."""
    said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = said.get("info", {}).get("features", {})
    return {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}


def _paths(path: str, image: str, kind: str) -> list[Any]:
    """The paths in the column of images, None where there are none."""
    if path.lower().endswith(".csv"):
        return list(_csv(path, image).column(image).to_pylist())
    if kind == "path":
        return list(pq.read_table(path, columns=[image], partitioning=None).column(image).to_pylist())
    count = pq.read_metadata(path).num_rows
    if kind == "bytes" or "path" not in {field.name for field in _schema(path).field(image).type}:
        return [None] * count
    with pq.ParquetFile(path) as file:  # of the structure, the paths alone
        column = file.read(columns=[f"{image}.path"]).column(image)
    return [value and value["path"] for value in column.to_pylist()]


@lru_cache(maxsize=2)
def _row_group(path: str, image: str, group: int) -> pa.ChunkedArray:
    """The images of one row group; rows are mostly read one after the other."""
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[image]).column(image)
