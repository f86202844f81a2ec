"""A table in memory as a source: of pandas, polars or Arrow."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...errors import SourceError
from ...transforms.category import is_missing
from .sources import Item, TableRow, stamp_of, unique
from .table_rows import image_column, keys_in, names_of_rows, read_path, with_keys


class Table(Protocol):
    """A table in memory: of pandas, polars or Arrow."""

    @property
    def columns(self) -> Any:
        """The columns, or their names."""


@dataclass(frozen=True)
class MemorySource:
    """The rows of a table in memory, whose paths are relative to the working folder.

    Keys are as for a `TableSource`; a row without a path is called by its number.
    """

    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    image: str | None = None
    key: str | None = None

    def items(self) -> list[Item]:
        """An item for each row, sorted by key."""
        if not self.rows:
            raise SourceError("the table must hold rows, but has none")
        names = list(self.rows[0])
        image = image_column(names, names, self.image, "the table")
        places = [_place_in_memory(row[image], n) for n, row in enumerate(self.rows)]
        if self.key is not None:
            row_names = keys_in(names, lambda key: [row[key] for row in self.rows], self.key)
        else:
            row_names = names_of_rows([place if isinstance(place, str) else None for place in places], "")
        items = [
            Item(name, place, TableRow(name, dict(row), "", place), stamp_of(place) if isinstance(place, str) else None)
            for name, place, row in zip(row_names, places, self.rows, strict=True)
        ]
        return unique(items if self.key is not None else with_keys(items))

    def read(self, place: Any) -> bytes:
        """The bytes of a file, or those in a row."""
        return place if isinstance(place, bytes) else read_path(place)

    def where(self) -> str:
        """A name for all tables in memory that are read from this folder."""
        return os.path.abspath("a table in memory")

    def __getstate__(self) -> dict[str, Any]:
        """The settings without the rows: a worker gets the place of each item."""
        return {"rows": (), "image": self.image, "key": self.key}


def rows_in_memory(table: object) -> tuple[Mapping[str, Any], ...] | None:
    """The rows of a table of pandas, polars or Arrow; None for anything else.

    Raises `SourceError` where two columns have one name.
    """
    for method, arguments in (("to_dicts", ()), ("to_pylist", ()), ("to_dict", ("records",))):
        if hasattr(table, "columns") and hasattr(table, method):
            names = [str(name) for name in getattr(table, "column_names", table.columns)]
            if double := [name for name in names if names.count(name) > 1]:
                raise SourceError(f"columns must have names of their own, but the table has {double[0]!r} twice")
            return tuple(getattr(table, method)(*arguments))
    return None


def _place_in_memory(value: object, row: int) -> str | bytes:
    """The path or the bytes in a row, as they are or as Hugging Face has them."""
    if isinstance(value, Mapping):
        value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if is_missing(value):
        return ""
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    raise SourceError(f"the image of a row must be a path or bytes, but row {row} has {value!r:.80}")
