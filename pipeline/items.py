"""Where the images are: a sorted walk through a folder."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import SourceError

# A list of our own: `mimetypes` answers differently from one machine to the next.
_NAMES = ("apng avif bmp dib gif ico j2k jfif jp2 jpe jpeg jpg jpx", "pbm pgm png pnm ppm tif tiff webp")
IMAGE_EXTENSIONS = frozenset("." + name for line in _NAMES for name in line.split())


def get_image_files(
    path: str | os.PathLike[str], recurse: bool = True, folders: Iterable[str] | None = None
) -> list[Path]:
    """The image files under `path`, told by their extension in any case, sorted by their path relative to it.

    Folders whose name begins with a dot are skipped; links are followed, each folder once. `folders` confines the walk
    to the folders of these names directly under `path`. Raises `SourceError` where `path` is not a folder.

    >>> get_image_files("there is no such folder")
    Traceback (most recent call last):
    ...
    onewarp.errors.SourceError: source must be a folder of images, but there is no such folder does not exist
    """
    root = Path(path)
    if not root.is_dir():
        seen = "is a file" if root.exists() else "does not exist"
        raise SourceError(f"source must be a folder of images, but {root} {seen}")
    kept = None if folders is None else frozenset(folders)
    found = ((relative, file) for relative, file in _walk(root, recurse, kept) if _is_image(file))
    return [file for _, file in sorted(found)]


def relative_key(path: Path, root: Path) -> str:
    """The key of a file: its POSIX path relative to the source's root; bytes that are not UTF-8 are escaped."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_EXTENSIONS


def _walk(root: Path, recurse: bool, folders: frozenset[str] | None) -> Iterator[tuple[str, Path]]:
    """Every file under `root` with its relative path; `folders` keeps only these folders of the first level."""
    entered: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        stat = folder.stat()
        if (stat.st_dev, stat.st_ino) in entered:  # a link back to where we have been
            continue
        entered.add((stat.st_dev, stat.st_ino))
        at_root = folder is root
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                if entry.is_dir():
                    wanted = (
                        entry.name in folders if at_root and folders is not None else not entry.name.startswith(".")
                    )
                    if recurse and wanted:
                        waiting.append(path)
                elif not (at_root and folders is not None):
                    yield relative_key(path, root), path
