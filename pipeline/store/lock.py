"""One writer at a time: a lock on a cache that dies with its process."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import CacheError

_NAME = ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the cache's lock; `CacheError` names host and process of the writer that has it."""
    path = folder / _NAME
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{socket.gethostname()} {os.getpid()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            host, _, process = os.read(descriptor, 256).decode(errors="replace").partition(" ")
            os.close(descriptor)
            who = f"process {process} on {host}" if process else "another process"
            raise CacheError(f"{path.parent} is being written by {who}: wait until it is done, or end it") from None
        if _is(path, descriptor):
            return descriptor
        os.close(descriptor)  # the writer before us has just removed the file that we locked


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
