"""Which files kill the process that decodes them.

When a worker dies, a process of its own decodes the worker's files once more and reports each file that is done. The
file at which this process dies is then tried alone. If the file is harmless alone, an earlier file has left the process
broken, and bisection finds that one. The search goes on behind it: finding a file costs two processes as a rule.

A process may also be killed from outside, as by a system that runs out of memory. Its death says nothing of a file: the
process is started again, and where it is killed again and again, the search ends with an error and rejects no file.
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
from ...transforms.child_process import FROM_OUTSIDE, environment
from ...transforms.decoding.decode import decode_pixels
from ...transforms.decoding.resizing import resize
from ..cache.recipe import Recipe
from ..dataset.sources import Source

_START_SECONDS = 600.0  # for importing torch on a busy machine
_TRIALS, _PAUSE = 4, 1.0  # tries of a process that is killed from outside; seconds before the second
_DONE = b"."
_UNREAD = b"-" * 64
_HANGS = "takes longer to decode than max_seconds allows"


class CrashCause(NamedTuple):
    """What a file did to the process that decoded it, and the file's SHA-256 if it could be read."""

    reason: str
    sha256: str | None


@dataclass(frozen=True)
class _Trial:
    """Files decoded in one process: the SHA-256 of each that was read, and how the process ended at the last, if so."""

    digests: list[str | None]
    end: str | None = None

    @property
    def is_crash(self) -> bool:
        """Whether the process died by itself, and was not stopped for taking too long."""
        return self.end is not None and self.end != _HANGS


def find_crash_causes(source: Source, recipe: Recipe, files: Sequence[tuple[str, Any]]) -> dict[str, CrashCause]:
    """The files, of (key, place), that kill or hang the process that decodes them.

    Raises `ResourceError` where processes are killed from outside, again and again.
    """
    locations = [location for _, location in files]
    causes: dict[str, CrashCause] = {}
    begin = 0
    while begin < len(locations) and (trial := _try(source, recipe, locations[begin:])).end is not None:
        last = begin + len(trial.digests) - 1
        cause = _find_cause(source, recipe, locations[begin : last + 1]) if trial.is_crash else last - begin
        if cause is None:  # it does not happen again
            begin = last + 1
            continue
        causes[files[begin + cause][0]] = CrashCause(trial.end, trial.digests[cause])
        begin += cause + 1
    return causes


def _find_cause(source: Source, recipe: Recipe, locations: Sequence[Any]) -> int | None:
    """The file that is to blame where a process dies at the last of these files; None where it does not die again.

    That is the last file whose omission lets the process survive.
    """

    def survives(begin: int) -> bool:
        return not _try(source, recipe, locations[begin:]).is_crash

    last = len(locations) - 1
    if not survives(last):
        return last
    first = bisect_left(range(last), True, key=survives)
    return first - 1 if first else None


def _try(source: Source, recipe: Recipe, locations: Sequence[Any]) -> _Trial:
    """Decode files in a process of their own, started again where it is killed from outside."""
    for number in range(_TRIALS):
        trial = _try_once(source, recipe, locations)
        if trial is not None:
            return trial
        time.sleep(_PAUSE * 4**number)
    raise ResourceError(
        "processes that decode are killed from outside, as systems do that run out of memory: free some, or use fewer "
        "workers; no file was refused for it, and the same command goes on from here"
    )


def _try_once(source: Source, recipe: Recipe, locations: Sequence[Any]) -> _Trial | None:
    """One trial; None where the process was killed from outside."""
    command = [sys.executable, "-c", f"from {__name__} import _decode_all; _decode_all()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    digests: list[str | None] = []
    with subprocess.Popen(command, env=environment(), **pipes) as child:  # type: ignore[call-overload]
        child.stdin.write(cloudpickle.dumps((source, recipe, locations)))
        child.stdin.close()
        answers = _PatientPipe(child)
        if not answers.next(1, _START_SECONDS):
            child.kill()
            raise CacheError(
                f"the process that looks for files that kill their worker does not start (code {child.wait()}): "
                "the same command goes on from here"
            )
        for _ in locations:
            digest = answers.next(64, _patience(recipe))
            answer = answers.next(1, _patience(recipe)) if digest else digest
            digests.append(_digest_text(digest))
            if answer != _DONE:
                if answer is None:
                    child.kill()
                code = child.wait()
                if answer is not None and -code in FROM_OUTSIDE:
                    return None
                return _Trial(digests, _describe_end(answer, code))
    return _Trial(digests)


def _patience(recipe: Recipe) -> float:
    return 3 * recipe.decoding.max_seconds + 2


def _describe_end(answer: bytes | None, code: int) -> str:
    """How the process ended, in words; `answer` is None where it fell silent, empty where its pipe ended."""
    if answer is None or code == -signal.SIGPROF:
        return _HANGS
    return f"kills the process that decodes it (signal {-code})" if code < 0 else f"ends its process with code {code}"


def _digest_text(digest: bytes | None) -> str | None:
    return digest.decode() if digest and digest != _UNREAD else None


class _PatientPipe:
    """The output of a process, waited for as long as the process works."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        if child.stdout is None:
            raise ValueError("the process must write to a pipe")
        self._pid, self._pipe = child.pid, child.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe, selectors.EVENT_READ)

    def next(self, count: int, seconds: float) -> bytes | None:
        """The next `count` bytes; empty where the pipe has ended, None where the process is idle for `seconds`."""
        data = b""
        while len(data) < count:
            time_before = _processor_time(self._pid)
            if not self._selector.select(seconds):
                if _processor_time(self._pid) == time_before and not _is_stopped(self._pid):
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
    """Run in the process: decode the files named on stdin, and report each on stdout."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the parent was killed: nobody reads the reports
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes to stderr
    source, recipe, locations = cloudpickle.load(sys.stdin.buffer)
    os.write(out, _DONE)
    for location in locations:
        signal.setitimer(signal.ITIMER_PROF, _patience(recipe))  # processor time, which a busy machine does not use up
        try:
            data = source.read(location)
        except OSError:  # the worker reports it
            os.write(out, _UNREAD + _DONE)
            continue
        os.write(out, sha256(data).hexdigest().encode())
        os.write(out, _decode_one(recipe, data))


def _decode_one(recipe: Recipe, data: bytes) -> bytes:
    with suppress(DecodeError, ResourceError):  # the worker reports it
        resize(decode_pixels(data, recipe.sizing.size, recipe.decoding), recipe.sizing)
    return _DONE
