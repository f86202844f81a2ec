"""Several servers of the same caches on one machine, each a process: started together, renewed, ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from types import FrameType

from ...errors import ServiceError
from .process import PARENT

_LOOK = 0.1  # seconds between two looks at the processes
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # seconds between an end and the next start
_LATE = 5.0  # seconds in which the line of a process that has ended is read
_KILL_AFTER = 5.0  # seconds for which a process may outlive its grace


@dataclass(eq=False)
class _Replica:
    """One of the processes; `line` is what it prints once it answers, and empty if it ends before that."""

    words: Sequence[str]
    process: "subprocess.Popen[str]"
    lines: "SimpleQueue[str]" = field(default_factory=SimpleQueue)
    line: str | None = None
    is_first: bool = True
    pause: float = field(default_factory=lambda: _FIRST_PAUSE)
    again_at: float | None = None  # when it is started again, where it has ended


class Supervisor:
    """Runs one process for each of `commands` (words of `onewarp`); the first line that each prints is told to `say`.

    A process that ends by itself is started again, and `warn` is told; one that ends before it has ever answered ends
    all. At the end each has `grace` seconds, as it knows itself, and is killed if it takes much longer.
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        say: Callable[[str], object],
        warn: Callable[[str], object],
        grace: float = 30.0,
    ) -> None:
        self._commands, self._say, self._warn, self._grace = commands, say, warn, grace
        self._signals = 0
        self._replicas: list[_Replica] = []

    def run(self) -> int:
        """Run until SIGTERM or Ctrl-C; returns the exit status, 0 where every process ended as it should."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            for words in self._commands:
                self._replicas.append(_start(words))
            while not self._signals:
                for number, replica in enumerate(self._replicas):
                    self._look_at(number, replica)
                time.sleep(_LOOK)
        finally:
            statuses = self._end()
            for number, handler in before.items():
                signal.signal(number, handler)
        return max((abs(status) for status in statuses if status != -signal.SIGTERM), default=0)

    def _look_at(self, number: int, replica: _Replica) -> None:
        """Tell what a replica has said, and start it again if it has ended."""
        has_ended = replica.process.poll() is not None
        if replica.line is None:
            with suppress(Empty):  # of one that has ended the line is on its way
                replica.line = replica.lines.get(timeout=_LATE if has_ended else 0)
                if replica.line:
                    self._say(replica.line)
        if replica.again_at is not None:
            if replica.again_at <= time.monotonic():
                again = _start(replica.words)
                again.pause = _FIRST_PAUSE if replica.line else min(2 * replica.pause, _LONGEST_PAUSE)
                again.is_first = False
                self._replicas[number] = again
        elif has_ended:
            if not replica.line and replica.is_first:
                raise ServiceError("a replica ended before it answered: what it said stands above")
            ended = f"replica {number} ended with status {replica.process.returncode}"
            self._warn(f"{ended}: it is started again in {replica.pause:g} s")
            replica.again_at = time.monotonic() + replica.pause

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _end(self) -> list[int]:
        """Let every process end as it does by itself, at once after a second signal; their statuses."""
        running = [replica.process for replica in self._replicas if replica.process.poll() is None]
        for process in running:
            process.terminate()
        deadline, signals = time.monotonic() + self._grace + _KILL_AFTER, self._signals
        while any(process.poll() is None for process in running):
            if time.monotonic() > deadline or self._signals > max(1, signals):
                for process in running:
                    process.kill()
            time.sleep(_LOOK)
        return [process.returncode for process in running]


def _start(words: Sequence[str]) -> _Replica:
    """A process in a group of its own, so that Ctrl-C reaches it through the supervisor alone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "onewarp", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, PARENT: str(os.getpid())},
        process_group=0,
    )
    replica = _Replica(words, process)
    Thread(target=_read_line, args=(replica,), name="onewarp-replica", daemon=True).start()
    return replica


def _read_line(replica: _Replica) -> None:
    """Read the first line, and what follows, so that a process never waits to be read."""
    assert replica.process.stdout is not None  # it is a pipe
    with replica.process.stdout as stream:
        replica.lines.put(stream.readline().rstrip("\n"))
        for _ in stream:
            pass
