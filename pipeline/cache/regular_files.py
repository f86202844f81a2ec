"""Regular files, opened to be read: a pipe would wait for ever, and a device would never end."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ...errors import CacheError


@contextmanager
def open_regular(path: Path, size: int | None = None) -> Iterator[BinaryIO]:
    """A regular file, open; `CacheError` where it is missing, is no regular file, or has not `size` bytes.

    Whatever the system fails at while it is open is a `CacheError` too, which names it.
    """
    try:
        _refuse(path, os.stat(path), size)  # first, since to open a device may do something
        with open(path, "rb", opener=_open_nonblocking) as file:
            _refuse(path, os.fstat(file.fileno()), size)
            yield file
    except OSError as error:
        raise CacheError(f"{path} {_reason(error)}: run presize again, it makes anew what is not whole") from None


def read_regular(path: Path, size: int | None = None, most: int | None = None) -> bytes:
    """All bytes of a regular file; `CacheError` as of `open_regular`, and for more than `most` bytes."""
    with open_regular(path, size) as file:
        length = os.fstat(file.fileno()).st_size
        if most is not None and length > most:
            raise CacheError(f"{path} has {length:,} bytes, and may have {most:,}: it is no file of a cache")
        data = file.read()
    if size is not None and len(data) != size:
        raise CacheError(f"{path} was changed while it was read: open the cache again")
    return data


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _refuse(path: Path, state: os.stat_result, size: int | None) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise CacheError(f"{path} must be a regular file, but is a folder, a pipe or a device: remove it")
    if size is not None and state.st_size != size:
        raise CacheError(
            f"{path} has {state.st_size:,} bytes, and the cache says {size:,}: run presize again, it makes anew what "
            "is not whole"
        )


def _reason(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
