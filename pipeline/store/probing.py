"""Which files kill the process that decodes them.

When a worker dies, its files are decoded once more in a process of their own, which says of each that it is done. The
one that it dies at is tried alone. If that goes well, an earlier one has left the process broken, and is found by
halving. The search goes on behind it: so a file is found at the cost of two processes, as a rule.
"""

import os
import selectors
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from types import ModuleType
from typing import IO, Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]

from ...errors import CacheError, DecodeError
from ...transforms.decoding import decode_pixels
from ...transforms.resizing import resize
from .recipe import Recipe
from .sources import Source

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a POSIX system: memory is not limited there, and a file that eats it all is not told apart
    resource = None

_START_SECONDS = 600.0  # to import torch on a busy machine, or one whose processes are stopped meanwhile
_DONE, _NO_MEMORY = b".", b"m"
_UNREAD = b"-" * 64
_HANGS = "takes longer to decode than max_seconds allows"
_TOO_LARGE = "needs more memory to decode than a worker has"


class Killer(NamedTuple):
    """What a file did to the process that decoded it, and its SHA-256 if it could be read at all."""

    reason: str
    sha256: str | None


@dataclass(frozen=True)
class _Trial:
    """Files decoded in a process: the SHA-256 of each that was read, and what happened at the last, if it did."""

    digests: list[str | None]
    end: str | None = None

    @property
    def died(self) -> bool:
        """Whether the process broke down, by itself."""
        return self.end is not None and self.end not in (_HANGS, _TOO_LARGE)


def find_killers(
    source: Source, recipe: Recipe, files: Sequence[tuple[str, Any]], crowded: bool = False
) -> dict[str, Killer]:
    """Of files (key, place), those that kill a process, hang it, or need more memory than the worker has.

    `crowded` counts only one thread's share of that memory: all of the worker's threads may be at large files.
    """
    limit = _memory_limit(crowded)
    places = [place for _, place in files]
    found: dict[str, Killer] = {}
    begin = 0
    while begin < len(places) and (trial := _try(source, recipe, places[begin:], limit)).end is not None:
        last = begin + len(trial.digests) - 1
        cause = _cause(source, recipe, places[begin : last + 1], limit) if trial.died else last - begin
        if cause is None:  # it does not happen again
            begin = last + 1
            continue
        found[files[begin + cause][0]] = Killer(trial.end, trial.digests[cause])
        begin += cause + 1
    return found


def _cause(source: Source, recipe: Recipe, places: Sequence[Any], limit: int | None) -> int | None:
    """The file that a process dies of that dies at the last of these: the last without which it does not."""

    def survives(begin: int) -> bool:
        return not _try(source, recipe, places[begin:], limit).died

    last = len(places) - 1
    if not survives(last):
        return last
    first = bisect_left(range(last), True, key=survives)
    return first - 1 if first else None


def _try(source: Source, recipe: Recipe, places: Sequence[Any], limit: int | None) -> _Trial:
    """Decode files in a process, as far as it goes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", f"from {__name__} import _decode_all; _decode_all()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    digests: list[str | None] = []
    with subprocess.Popen(command, env=environment, **pipes) as child:  # type: ignore[call-overload]
        child.stdin.write(cloudpickle.dumps((source, recipe, places, limit)))
        child.stdin.close()
        says = _Says(child.stdout)
        if not says.next(1, _START_SECONDS):
            child.kill()
            raise CacheError(
                f"the process that looks for files that kill their worker does not start (code {child.wait()}): "
                "the same command goes on from here"
            )
        for _ in places:
            digest = says.next(64, _patience(recipe))
            said = says.next(1, _patience(recipe)) if digest else digest
            digests.append(_text(digest))
            if said != _DONE:
                child.kill()
                return _Trial(digests, _what(said, child.wait()))
    return _Trial(digests)


def _patience(recipe: Recipe) -> float:
    return 3 * recipe.decoding.max_seconds + 2


def _what(said: bytes | None, code: int) -> str:
    """What has happened, by what was said last (None: nothing in time, empty: the process has ended)."""
    if said is None:
        return _HANGS
    if said == _NO_MEMORY:
        return _TOO_LARGE
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
    if limit is not None and resource is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.write(out, _DONE)
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


def _memory_limit(crowded: bool = False) -> int | None:
    """The bytes that dask allows the worker that we are in, or one thread of it where it is crowded."""
    try:
        worker = import_module("distributed").get_worker()
        limit = worker.memory_manager.memory_limit
    except (ValueError, AttributeError):  # not in a worker
        return None
    return int(limit) // (worker.state.nthreads if crowded else 1) if limit else None
