"""Which files kill the process that decodes them.

When a worker dies, its files are decoded once more in a process of their own, which says of each that it is done. The
one that it dies at is tried alone. If that goes well, an earlier one has left the process broken, and is found by
halving. The search goes on behind it: so a file is found at the cost of two processes, as a rule.

A process that is killed from outside, as systems do that run out of memory, says nothing of a file: it is tried again,
and where that goes on, the search ends with an error and no file is refused.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]

from ...errors import CacheError, DecodeError, ResourceError
from ...transforms.decoding.decode import decode_pixels
from ...transforms.decoding.resizing import resize
from ..cache.recipe import Recipe
from ..dataset.sources import Source

_START_SECONDS = 600.0  # to import torch on a busy machine, or one whose processes are stopped meanwhile
_TRIALS, _PAUSE = 4, 1.0  # of what is killed from outside, and seconds before the second
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_DONE = b"."
_UNREAD = b"-" * 64
_HANGS = "takes longer to decode than max_seconds allows"


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
        return self.end is not None and self.end != _HANGS


def find_killers(source: Source, recipe: Recipe, files: Sequence[tuple[str, Any]]) -> dict[str, Killer]:
    """Of files (key, place), those that kill a process or hang it, by themselves.

    Raises `ResourceError` where processes are killed from outside, again and again.
    """
    places = [place for _, place in files]
    found: dict[str, Killer] = {}
    begin = 0
    while begin < len(places) and (trial := _try(source, recipe, places[begin:])).end is not None:
        last = begin + len(trial.digests) - 1
        cause = _cause(source, recipe, places[begin : last + 1]) if trial.died else last - begin
        if cause is None:  # it does not happen again
            begin = last + 1
            continue
        found[files[begin + cause][0]] = Killer(trial.end, trial.digests[cause])
        begin += cause + 1
    return found


def _cause(source: Source, recipe: Recipe, places: Sequence[Any]) -> int | None:
    """The file that a process dies of that dies at the last of these: the last without which it does not."""

    def survives(begin: int) -> bool:
        return not _try(source, recipe, places[begin:]).died

    last = len(places) - 1
    if not survives(last):
        return last
    first = bisect_left(range(last), True, key=survives)
    return first - 1 if first else None


def _try(source: Source, recipe: Recipe, places: Sequence[Any]) -> _Trial:
    """Decode files in a process, as far as it goes by itself."""
    for number in range(_TRIALS):
        trial = _try_once(source, recipe, places)
        if trial is not None:
            return trial
        time.sleep(_PAUSE * 4**number)
    raise ResourceError(
        "processes that decode are killed from outside, as systems do that run out of memory: free some, or use fewer "
        "workers; no file was refused for it, and the same command goes on from here"
    )


def _try_once(source: Source, recipe: Recipe, places: Sequence[Any]) -> _Trial | None:
    """None where the process was killed from outside."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", f"from {__name__} import _decode_all; _decode_all()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    digests: list[str | None] = []
    with subprocess.Popen(command, env=environment, **pipes) as child:  # type: ignore[call-overload]
        child.stdin.write(cloudpickle.dumps((source, recipe, places)))
        child.stdin.close()
        says = _Says(child)
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
                if said is None:
                    child.kill()
                code = child.wait()
                return None if said is not None and -code in _FROM_OUTSIDE else _Trial(digests, _what(said, code))
    return _Trial(digests)


def _patience(recipe: Recipe) -> float:
    return 3 * recipe.decoding.max_seconds + 2


def _what(said: bytes | None, code: int) -> str:
    """What has happened, by what was said last (None: nothing in time, empty: the process has ended)."""
    if said is None or code == -signal.SIGPROF:
        return _HANGS
    return f"kills the process that decodes it (signal {-code})" if code < 0 else f"ends its process with code {code}"


def _text(digest: bytes | None) -> str | None:
    return digest.decode() if digest and digest != _UNREAD else None


class _Says:
    """What comes out of a process, read with patience."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        if child.stdout is None:
            raise ValueError("the process must write to a pipe")
        self._pid, self._pipe = child.pid, child.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)

    def next(self, count: int, seconds: float) -> bytes | None:
        """So many bytes; none where the pipe has ended, None where nothing comes, and nothing is done, for so long."""
        data = b""
        while len(data) < count:
            worked = _processor_time(self._pid)
            if not self._selector.select(seconds):
                if _processor_time(self._pid) == worked and not _is_stopped(self._pid):
                    return None
                continue
            more = os.read(self._pipe.fileno(), count - len(data))
            if not more:
                return b""
            data += more
        return data


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _processor_time(pid: int) -> list[str]:
    return _stat(pid)[11:13]


def _is_stopped(pid: int) -> bool:
    return _stat(pid)[:1] == ["T"]


def _decode_all() -> None:
    """In the process: decode what comes on stdin, and say so."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever asked was killed: nothing is to be said
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print does not count
    source, recipe, places = cloudpickle.load(sys.stdin.buffer)
    os.write(out, _DONE)
    for place in places:
        signal.setitimer(signal.ITIMER_PROF, _patience(recipe))  # of the processor, whose time others do not take
        try:
            data = source.read(place)
        except OSError:  # the worker will say so
            os.write(out, _UNREAD + _DONE)
            continue
        os.write(out, sha256(data).hexdigest().encode())
        os.write(out, _one(recipe, data))


def _one(recipe: Recipe, data: bytes) -> bytes:
    with suppress(DecodeError, ResourceError):  # the worker will say so
        resize(decode_pixels(data, recipe.sizing.size, recipe.decoding), recipe.sizing)
    return _DONE
