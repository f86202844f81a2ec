"""The names of a table's rows, and the column that has their images."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import SourceError
from ...transforms.category import is_missing
from .keys import number_copies
from .sources import Item, read_file

_USUAL = ("image", "path", "file", "file_name", "filename", "image_path", "fname", "img", "bytes")


def image_column(names: Sequence[str], fits: Sequence[str], requested: str | None, table: str) -> str:
    """The column with the images: `requested`, or else the first with a usual name among those that fit."""
    if requested is not None:
        if requested not in names:
            raise SourceError(f"image column must be one of {', '.join(map(str, names))}, but got {requested!r}")
        return requested
    usual = [name for name in _USUAL if name in fits]
    if not usual:
        raise SourceError(
            f"{table} must have a column of paths or bytes, but none of {', '.join(map(str, names))} has "
            "a usual name: name it by image="
        )
    return usual[0]


def keys_in(names: Sequence[str], values: Callable[[str], Sequence[object]], key: str) -> list[str]:
    """The keys in a column; `SourceError` where there is no such column, or a row has none."""
    if key not in names:
        raise SourceError(f"key column must be one of {', '.join(map(str, names))}, but got {key!r}")
    column = values(key)
    empty = next((row for row, value in enumerate(column) if is_missing(value)), None)
    if empty is not None:
        raise SourceError(f"key column {key!r} must hold a key in every row, but is empty in row {empty} (from 0)")
    return [str(value) for value in column]


def names_of_rows(paths: Sequence[str | None], table: str) -> list[str]:
    """The name of each row: its path; without one the table and the row's number, which is no other row's path."""
    taken = {Path(path).as_posix() for path in paths if path}
    names = []
    for row, path in enumerate(paths):
        name = Path(path).as_posix() if path else f"{table}{row:09d}"
        while not path and name in taken:
            name += "_"
        names.append(name)
    return names


def with_keys(items: Sequence[Item]) -> list[Item]:
    """The same items, each under a key of its own; copies have what they are copies of as their `origin`."""
    names = [item.key for item in items]
    counts = Counter(names)
    keys = number_copies(names)
    return [
        item._replace(key=key, origin=item.key if counts[item.key] > 1 else None)
        for item, key in zip(items, keys, strict=True)
    ]


def read_path(path: str) -> bytes:
    """The bytes of the file that a row names."""
    if not path:
        raise OSError("the row names no file")
    return read_file(path)
