"""Where the images are: a sorted walk through a folder.

The rule: an item is a regular file whose name ends, in any case, as one of the formats that are read. Names that begin
with a dot, and `__MACOSX`, are hidden and are passed by. Links are followed, and a folder to which several ways lead is
walked once, by the way with the fewest links, of these by the first in order. What looks like an image and is no item
is set aside with the reason.
"""

import errno
import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...errors import SourceError
from ...transforms.category import escape_bytes
from ..composition.spec import register

# A list of our own: `mimetypes` answers differently from one machine to the next.
_NAMES = ("apng avif bmp dib gif ico j2k jfif jp2 jpe jpeg jpg jpx", "pbm pgm png pnm ppm tif tiff webp")
IMAGE_EXTENSIONS = frozenset("." + name for line in _NAMES for name in line.split())

_OTHER_NAMES = (
    "arw cr2 cr3 dcm dng exr hdr heic heif hif jls jpf jpm jxl jxr nef orf pcx pef psb psd raf raw rw2 srw svg svgz",
    "tga wdp xcf",
)
OTHER_EXTENSIONS = frozenset("." + name for line in _OTHER_NAMES for name in line.split())
"""Of image files in formats that are not read."""

KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
"""What is no regular file, by its kind in `stat`."""


@dataclass
class Listing:
    """The image files of a folder in order, the reason of each entry that was set aside, and of each passed by.

    An entry that was set aside may be a photo that is lost to the data set. One that was passed by is none: it is
    hidden, or a folder that is walked already. Both are named by their path relative to the folder, of which a
    folder's ends in a slash. `entries` counts all that were seen.
    """

    files: list[Path] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)
    passed_by: dict[str, str] = field(default_factory=dict)
    entries: int = 0


@register
def get_image_files(
    path: str | os.PathLike[str], recurse: bool = True, folders: str | Iterable[str] | None = None
) -> list[Path]:
    """The image files under `path`, recognised by their extension in any case, sorted by their path relative to it.

    `folders` confines the walk to the folder of this name, or of these names, directly under `path`. Which files are
    left out, and why, `list_images` tells. Raises `SourceError` where `path` or one of `folders` is no folder.

    >>> get_image_files("there is no such folder")
    Traceback (most recent call last):
    ...
    onewarp.errors.SourceError: source must be a folder of images, but there is no such folder does not exist
    """
    return list_images(path, recurse, folders).files


def list_images(
    path: str | os.PathLike[str], recurse: bool = True, folders: str | Iterable[str] | None = None
) -> Listing:
    """The image files that `get_image_files` finds, and what it leaves out."""
    root = Path(path)
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise SourceError(f"source must be a folder of images, but {root} {problem}")
    names = None if folders is None else frozenset([folders] if isinstance(folders, str) else folders)
    if missing := sorted(name for name in names or () if not (root / name).is_dir()):
        raise SourceError(f"folders must be names of folders directly under {root}, but {missing[0]!r} is none")
    walk = Walk(root, IMAGE_EXTENSIONS, recurse, names)
    walk.listing.files = [file for _, file in sorted((relative_key(file, root), file) for file in walk.files())]
    return walk.listing


def relative_key(path: Path, root: Path) -> str:
    """The key of a file: its POSIX path relative to the source's root; bytes that are not UTF-8 are escaped."""
    return escape_bytes(path.relative_to(root).as_posix())


class Walk:
    """A walk to the regular files under `root` that end as one of `suffixes`; `listing` has what it leaves out.

    `folders` keeps only these folders of the first level, hidden or not.
    """

    def __init__(
        self, root: Path, suffixes: frozenset[str], recurse: bool = True, folders: frozenset[str] | None = None
    ) -> None:
        self.root, self.suffixes, self.recurse, self.folders = root, suffixes, recurse, folders
        self.listing = Listing()

    def files(self) -> Iterator[Path]:
        """The files, in an order that does not depend on the one in which the file system names them."""
        waiting = [(0, "", self.root)]  # how many links lead to it, its key, the folder
        walked: dict[tuple[int, int], str] = {}
        while waiting:
            links, key, folder = heapq.heappop(waiting)
            for entry in self._open(folder, key, walked):
                path = folder / entry.name
                name = relative_key(path, self.root)
                match self._kind(entry, name, folder is self.root):
                    case "file":
                        yield path
                    case "folder":
                        heapq.heappush(waiting, (links + entry.is_symlink(), name, path))

    def _open(self, folder: Path, key: str, walked: dict[tuple[int, int], str]) -> list[os.DirEntry[str]]:
        """What lies in a folder, in order; nothing where it was walked before, or cannot be read."""
        try:
            at = folder.stat()
            first = walked.setdefault((at.st_dev, at.st_ino), key)
            if first != key:
                self.listing.passed_by[f"{key}/"] = f"is the same folder as {first or 'the source itself'}"
                return []
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if folder is self.root:
                raise SourceError(f"source {folder} cannot be looked into: {error.strerror}") from error
            self.listing.set_aside[f"{key}/"] = f"cannot be looked into: {error.strerror}"
            return []

    def _kind(self, entry: os.DirEntry[str], name: str, at_root: bool) -> Literal["file", "folder"] | None:
        """Whether an entry is a file that is wanted, a folder to walk, or neither."""
        confined = at_root and self.folders is not None
        if confined and entry.name not in (self.folders or ()):
            return None
        self.listing.entries += 1
        suffix = os.path.splitext(entry.name)[1].lower()
        like_an_image = suffix in self.suffixes or suffix in OTHER_EXTENSIONS
        mode, trouble = _leads_to(entry)
        if mode == stat.S_IFDIR:
            if not _is_hidden(entry.name) or confined:
                return "folder" if self.recurse else None
            self.listing.passed_by[f"{name}/"] = "is hidden"
        elif _is_hidden(entry.name):
            if like_an_image:
                self.listing.passed_by[name] = "is hidden"
        elif trouble or (mode != stat.S_IFREG and like_an_image):
            self.listing.set_aside[name] = trouble or f"is {KINDS.get(mode, 'something')}, and no regular file"
        elif suffix in OTHER_EXTENSIONS:
            self.listing.set_aside[name] = f"is {suffix}, a format that is not read: convert it, as to JPEG or PNG"
        elif suffix in self.suffixes and not confined:
            return "file"
        return None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _leads_to(entry: os.DirEntry[str]) -> tuple[int, str]:
    """The kind of file that an entry is or leads to, as in `stat`; 0 and the reason where that is unknown."""
    try:
        if entry.is_file():
            return stat.S_IFREG, ""
        return stat.S_IFDIR if entry.is_dir() else stat.S_IFMT(entry.stat().st_mode), ""
    except OSError as error:
        links = {errno.ELOOP: "is a link that leads to itself", errno.ENOENT: "is a link that leads nowhere"}
        return 0, links.get(error.errno or 0, f"cannot be looked at: {error.strerror}")
