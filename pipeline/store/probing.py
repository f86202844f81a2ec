"""Which files kill the process that decodes them.

When a worker dies, its files are decoded once more in a process of their own, which says of each that it is done. The
one that it dies at is the one, and the search goes on behind it: so a file is found at the cost of one process.
"""

import os
import resource
import selectors
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from typing import IO, Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]

from ...errors import DecodeError
from ...transforms.decoding import decode_pixels
from ...transforms.resizing import resize
from .recipe import Recipe
from .sources import Source

_START_SECONDS = 120.0  # to import torch on a busy machine
_DONE, _NO_MEMORY = b".", b"m"
_UNREAD = b"-" * 64


class Killer(NamedTuple):
    """What a file did to the process that decoded it, and its SHA-256 if it could be read at all."""

    reason: str
    sha256: str | None


def find_killers(source: Source, recipe: Recipe, files: Sequence[tuple[str, Any]]) -> dict[str, Killer]:
    """Of files (key, place), those that kill a process, hang it, or need more memory than the worker has."""
    found: dict[str, Killer] = {}
    while files:
        count, end = _try(source, recipe, files)
        if end is None:
            return found
        found[files[count][0]] = end
        files = files[count + 1 :]
    return found


def _try(source: Source, recipe: Recipe, files: Sequence[tuple[str, Any]]) -> tuple[int, Killer | None]:
    """Decode files in a process: how many went well, and what happened at the next one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", f"from {__name__} import _decode_all; _decode_all()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as child:  # type: ignore[call-overload]
        places = [place for _, place in files]
        child.stdin.write(cloudpickle.dumps((source, recipe, places, _memory_limit())))
        child.stdin.close()
        says = _Says(child.stdout)
        for count in range(len(files)):
            digest = says.next(64, _START_SECONDS if count == 0 else _patience(recipe))
            said = says.next(1, _patience(recipe)) if digest else digest
            if said != _DONE:
                child.kill()
                return count, Killer(_what(said, child.wait()), _text(digest))
    return len(files), None


def _patience(recipe: Recipe) -> float:
    return 3 * recipe.decoding.max_seconds + 2


def _what(said: bytes | None, code: int) -> str:
    """What has happened, by what was said last (None: nothing in time, empty: the process has ended)."""
    if said is None:
        return "takes longer to decode than max_seconds allows"
    if said == _NO_MEMORY:
        return "needs more memory to decode than a worker has"
    return f"kills the process that decodes it (signal {-code})" if code < 0 else f"ends its process with code {code}"


def _text(digest: bytes | None) -> str | None:
    return digest.decode() if digest and digest != _UNREAD else None


class _Says:
    """What comes out of a pipe, read with patience."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)

    def next(self, count: int, seconds: float) -> bytes | None:
        """So many bytes; none where the pipe has ended, None where nothing comes for so long."""
        data = b""
        while len(data) < count:
            if not self._selector.select(seconds):
                return None
            more = os.read(self._pipe.fileno(), count - len(data))
            if not more:
                return b""
            data += more
        return data


def _decode_all() -> None:
    """In the process: decode what comes on stdin, and say so."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print does not count
    source, recipe, places, limit = cloudpickle.load(sys.stdin.buffer)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    for place in places:
        try:
            data = source.read(place)
        except OSError:  # the worker will say so
            os.write(out, _UNREAD + _DONE)
            continue
        os.write(out, sha256(data).hexdigest().encode())
        os.write(out, _one(recipe, data))


def _one(recipe: Recipe, data: bytes) -> bytes:
    try:
        resize(decode_pixels(data, recipe.sizing.size, recipe.decoding), recipe.sizing)
    except (MemoryError, RuntimeError):  # torch says it by a RuntimeError
        return _NO_MEMORY
    except DecodeError as error:
        return _NO_MEMORY if "memory" in str(error) else _DONE
    return _DONE


def _memory_limit() -> int | None:
    """The bytes that dask allows the worker that we are in."""
    try:
        limit = import_module("distributed").get_worker().memory_manager.memory_limit
    except (ValueError, AttributeError):  # not in a worker
        return None
    return int(limit) if limit else None
