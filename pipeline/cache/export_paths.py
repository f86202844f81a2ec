"""Where each row of a cache lies as a file: names that a disk takes, no two alike."""

import os
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import PurePosixPath

from ...errors import UsageError
from .reader import Cache

_LONGEST = 255  # bytes that a name may have on the usual file systems


def paths_for(cache: Cache, extension: str) -> tuple[list[str], bool]:
    """The path of each row's file, and whether any is another than its split, label and key say.

    Names that differ in the case of letters alone are taken for the same, as some disks do. Where a name is taken, the
    later row's gets a number; where it is too long, its end is a hash of it; a label is the name of one folder, another
    one for each label. Raises `UsageError` for a key that leads out of the folder.
    """
    labels = _folder_names(cache)
    suffixes = [f".{name}.png" for name in cache.masks]
    names: set[str] = {"metadata.jsonl"}
    paths, renamed = [], False
    for number in range(len(cache)):
        columns = cache.columns(number)
        label = cache.names(columns.get("label"))
        parents = [labels[str(part)] for part in (columns.get("split"), label) if not isinstance(part, list | None)]
        preferred = _natural_path(columns["key"], parents, extension)
        path = next(path for path in _candidates(preferred, suffixes) if not _file_names(path, suffixes) & names)
        names |= _file_names(path, suffixes)
        paths.append(path)
        renamed |= path != preferred
    return paths, renamed


def _folder_names(cache: Cache) -> dict[str, str]:
    """A folder for each label and split."""
    names = [str(name) for name in [*cache.splits, *(cache.vocab or ())]]
    folders: dict[str, str] = {}
    for name in names:
        if name not in folders:
            safe = _folder_name(name)
            folders[name] = next(
                candidate for candidate in _with_numbers(safe, "") if candidate not in folders.values()
            )
    return folders


def _natural_path(key: str, parents: Sequence[str], extension: str) -> str:
    """The path of a key under its split and its label, whose names are left out of its own folders."""
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts:
        raise UsageError(f"key {key!r} leads out of the folder to export to: presize with another key column")
    parts = [*(_folder_name(part) for part in path.parts[:-1]), _safe_name(path.name)]
    fits = path.suffix.lower() == extension or (path.suffix.lower(), extension) == (".jpeg", ".jpg")
    folders = [part for part in parts[:-1] if part not in parents]
    return "/".join([*parents, *folders, parts[-1] if fits else parts[-1] + extension])


def _candidates(path: str, suffixes: Sequence[str]) -> Iterator[str]:
    """A place whose names are short enough, then the same with numbers."""
    *folders, name = path.split("/")
    stem, extension = os.path.splitext(name)
    room = max([len(extension), *map(len, suffixes)]) + 8  # of bytes for what follows the stem, with a number
    for candidate in _with_numbers(_shorten(stem, room), extension):
        yield "/".join([*folders, candidate])


def _with_numbers(stem: str, extension: str) -> Iterator[str]:
    yield stem + extension
    number = 0
    while True:
        number += 1
        yield f"{stem}-{number}{extension}"


def _file_names(path: str, suffixes: Iterable[str]) -> set[str]:
    """The files of a row, as they are compared."""
    stem = os.path.splitext(path)[0]
    return {name.casefold() for name in (path, *(stem + suffix for suffix in suffixes))}


def _shorten(name: str, room: int = 0) -> str:
    """A name that leaves room for so many bytes behind it: as it is, or its beginning and a hash of it."""
    if len(name.encode()) + room <= _LONGEST:
        return name
    end = "-" + blake2b(name.encode(), digest_size=4).hexdigest()
    return name.encode()[: _LONGEST - room - len(end)].decode("utf-8", "ignore") + end


def _folder_name(name: str) -> str:
    """The name of a folder, which never ends as a file does: else a file might stand in its way."""
    safe = _safe_name(name)
    return _shorten(f"{safe}_" if safe.lower().endswith((".jpg", ".jpeg", ".png", ".webp", ".jsonl")) else safe, 8)


def _safe_name(name: str) -> str:
    """The name of one folder or file."""
    return name.replace("/", "_").replace("\0", "_") if name not in ("", ".", "..") else "_"
