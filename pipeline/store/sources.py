"""What `presize` reads from: a folder of images, or a table with a column of paths or of bytes.

A source is small: it lists its items once, sorted by key, and reads the bytes of one at a time. Archives and object
stores need no more than these two.
"""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from ...errors import SourceError
from ..items import get_image_files, relative_key


class Item(NamedTuple):
    """One image of a source.

    `key` names it, `place` is what the source finds its bytes by, `view` is what labellers and splitters see of it (a
    path, or a row of a table), `stamp` its size and time of change in nanoseconds, or None where they are not known:
    as long as they stay, so does the content.
    """

    key: str
    place: Any
    view: Any
    stamp: tuple[int, int] | None


class Source(Protocol):
    """Where images come from; it is sent to the workers, so it must be small and possible to pickle."""

    def read(self, place: Any) -> bytes:
        """The bytes of the item at `place`; `OSError` where they cannot be had."""

    def where(self) -> str:
        """The absolute address of the source, for what is kept on this machine only."""


class Listed(Source, Protocol):
    """A source that knows its items."""

    def items(self) -> list[Item]:
        """All items, sorted by key, each key once; `SourceError` where there are none."""


@dataclass(frozen=True)
class FolderSource:
    """The image files under a folder; a key is the POSIX path relative to it."""

    root: str

    def items(self) -> list[Item]:
        """The files, by `get_image_files`."""
        root = Path(self.root)
        files = get_image_files(root)
        if not files:
            raise SourceError(f"source {root} must hold image files, but none of its {_count(root)} entries is one")
        return unique([Item(relative_key(file, root), str(file), file, stamp_of(file)) for file in files])

    def peek(self) -> bool:
        """Whether there is an image file at all."""
        return bool(get_image_files(self.root))

    def read(self, place: Any) -> bytes:
        """The bytes of a file."""
        with open(place, "rb") as file:
            return file.read()

    def where(self) -> str:
        """The folder's absolute path."""
        return os.path.abspath(self.root)


class TableRow(dict[str, Any]):
    """A row of a table, by column; as a path it is its key, so that labellers of names work on it too.

    `folder` is that of the table, which paths in it are relative to.
    """

    def __init__(self, key: str, columns: dict[str, Any], folder: str = "") -> None:
        super().__init__(columns)
        self.key, self.folder = key, folder

    def __fspath__(self) -> str:
        return self.key

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name


def stamp_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """The size of a file and its time of change in nanoseconds; None where there is no file."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def unique(items: Sequence[Item]) -> list[Item]:
    """The items sorted by key; `SourceError` names a key that is there twice."""
    ordered = sorted(items, key=lambda item: item.key)
    for first, second in itertools.pairwise(ordered):
        if first.key == second.key:
            raise SourceError(
                f"keys must be unique, but {first.key!r} names both {_shown(first.place)} and {_shown(second.place)}: "
                "name another column as the key, or remove one of them"
            )
    return ordered


def _shown(place: Any) -> str:
    return place if isinstance(place, str) else "row " + ":".join(str(part) for part in place)


def _count(root: Path) -> int:
    return sum(1 for _ in root.rglob("*"))
