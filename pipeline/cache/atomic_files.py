"""Files that are there whole or not at all: written aside, brought to the disk, then renamed."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from ...errors import CacheError

ATTEMPT = ".attempt-"
"""How the records of attempts at a part begin; a finished cache has none."""

TEMPORARY = ".writing-"
"""How files begin that are not finished; a run that was killed leaves them, the next one removes them."""


@contextmanager
def atomic_file(folder: Path) -> Iterator[tuple[BinaryIO, Callable[[str], None]]]:
    """A file in `folder` to write to, and a function that brings it to the disk under its name.

    Without a call of that function, or after an error, nothing stays behind.
    """
    path = folder / f"{TEMPORARY}{uuid4().hex}"
    file = open(path, "w+b")  # noqa: SIM115 (closed below, before the file is removed)

    def commit(name: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        os.replace(path, folder / name)
        sync_folder(folder)

    try:
        yield file, commit
    finally:
        file.close()
        path.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with atomic_file(path.parent) as (file, commit):
        file.write(data)
        commit(path.name)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files_like(folder: Path, *patterns: str) -> list[Path]:
    """The files in a folder whose names fit one of the patterns, in order; none where there is no folder.

    Raises `OSError` where the folder cannot be read, which `Path.glob` takes for an empty one.
    """
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def sweep(folder: Path, prefix: str = TEMPORARY) -> None:
    """Remove what runs that were killed have left."""
    for path in files_like(folder, f"{prefix}*"):
        path.unlink(missing_ok=True)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Say in one line what a disk refuses, and what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CacheError(
                f"no space is left for {folder} ({os.strerror(error.errno)}): make room, or choose a smaller size or "
                "encoding='jpeg'; what is finished stays, and the same command goes on from there"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CacheError(f"{folder} must be a folder that may be written to, but {error.strerror}") from error
        if error.errno == errno.EIO:
            raise CacheError(
                f"{folder} cannot be written to ({error.strerror}): its disk fails; what is finished stays, and the "
                "same command goes on from there"
            ) from error
        if error.errno is None or isinstance(error, ConnectionError):  # of another process, not of the disk
            raise
        raise CacheError(
            f"{error.filename or folder} cannot be read or written ({os.strerror(error.errno)}): what is finished "
            "stays, and the same command goes on from there"
        ) from error
