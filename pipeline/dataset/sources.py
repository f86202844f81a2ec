"""What `presize` reads from: a folder of images, or a table with a column of paths or of bytes.

A source is small: it lists its items once, sorted by key, and reads the bytes of one at a time. Archives and object
stores need no more than these two.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ...errors import SourceError
from .items import IMAGE_EXTENSIONS, KINDS, Walk, list_images, relative_key

Stamp = tuple[int, int, int, int]
"""A file's size, its times of change of content and of anything, in nanoseconds, and its inode.

As long as all stay, so does the content: other files that take a file's place with its size and time have another
inode, and what is written into it with its time put back has another time of change.
"""


class Item(NamedTuple):
    """One image of a source.

    `key` names it, `place` is what the source finds its bytes by, `view` is what labellers and splitters see of it (a
    path, or a row of a table), `stamp` what `stamp_of` says of its file, or None where that is not known. `origin` is
    what copies of an item share, which have keys of their own; None for an item without.
    """

    key: str
    place: Any
    view: Any
    stamp: Stamp | None
    origin: str | None = None


class Items(list[Item]):
    """The items of a source, sorted by key, and what it knows of that became none.

    `set_aside` has the reason of each file that is lost to the data set, `passed_by` that of each that is no photo of
    it, both by key.
    """

    def __init__(
        self,
        items: Iterable[Item] = (),
        set_aside: Mapping[str, str] | None = None,
        passed_by: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(items)
        self.set_aside, self.passed_by = dict(set_aside or {}), dict(passed_by or {})


class Source(Protocol):
    """Where images come from; it is sent to the workers, so it must be small and possible to pickle."""

    def read(self, place: Any) -> bytes:
        """The bytes of the item at `place`; `OSError` where they cannot be had."""

    def where(self) -> str:
        """The absolute address of the source, for what is kept on this machine only."""


@runtime_checkable
class ListableSource(Source, Protocol):
    """A source that knows its items."""

    def items(self) -> list[Item]:
        """All items, sorted by key, each key once; `SourceError` where there are none.

        `Items`, where there is something to say of what became none.
        """


@dataclass(frozen=True)
class FolderSource:
    """The image files under a folder; a key is the POSIX path relative to it."""

    root: str

    def items(self) -> Items:
        """The files that `list_images` finds."""
        root = Path(self.root)
        listing = list_images(root)
        if not listing.files:
            first = next((f"; {key} {reason}" for key, reason in listing.set_aside.items()), "")
            raise SourceError(
                f"source {root} must hold image files, but none of its {listing.entries} entries is one{first}"
            )
        items = unique([Item(relative_key(file, root), str(file), file, stamp_of(file)) for file in listing.files])
        return Items(items, listing.set_aside, listing.passed_by)

    def peek(self) -> bool:
        """Whether there is an image file at all."""
        return next(Walk(Path(self.root), IMAGE_EXTENSIONS).files(), None) is not None

    def read(self, place: Any) -> bytes:
        """The bytes of the file at this path."""
        return read_file(place)

    def where(self) -> str:
        """The folder's absolute path."""
        return os.path.abspath(self.root)


class TableRow(dict[str, Any]):
    """A row of a table, by column; as a path it is its `origin`, so that labellers of names work on it too.

    `origin` is the path of its image, or its key; `folder` is that of the table, which paths in it are relative to;
    `place` is what its source finds the image by.
    """

    def __init__(self, origin: str, columns: dict[str, Any], folder: str = "", place: Any = None) -> None:
        super().__init__(columns)
        self.origin, self.folder, self.place = origin, folder, place

    def __fspath__(self) -> str:
        return self.origin

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.origin).name


def stamp_of(path: str | os.PathLike[str]) -> Stamp | None:
    """What tells a file from any other without reading it; None where there is no file."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # no file, or a name that none can have
        return None
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file; `OSError` for anything else, which is not read: a pipe waits, a device never ends.

    No more than the file's size is read, so that who has compared that with a limit has the limit.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a zero byte
        raise OSError(errno.EINVAL, "has a name that no file can have") from None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"is {KINDS.get(stat.S_IFMT(state.st_mode), 'something')}, and no regular file")
    with open(descriptor, "rb") as file:
        return file.read(state.st_size)


def unique(items: Sequence[Item]) -> list[Item]:
    """The items sorted by key; `SourceError` names a key that is there twice."""
    ordered = sorted(items, key=lambda item: item.key)
    for first, second in itertools.pairwise(ordered):
        if first.key == second.key:
            places = f"{_describe_place(first.place)} and {_describe_place(second.place)}"
            raise SourceError(
                f"keys must be unique, but {first.key!r} names both {places}: name another column as the key, or "
                "remove one of them"
            )
    return ordered


def _describe_place(place: Any) -> str:
    return place if isinstance(place, str) else "row " + ":".join(str(part) for part in place)
